//! Every document against the schema of its kind: those of the controllers' own resource definitions, unknown fields refused.
//!
//! The definitions are in the folder that `BACKSTOP_CRD_SCHEMAS` names, as files of `CustomResourceDefinition`s.

use crate::files::{all, documents, parse, text};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FOLDERS: [&str; 3] = ["argo-rollouts", "flagger", "kubernetes"];

/// Schemas by `apiVersion` and `kind`.
fn schemas() -> BTreeMap<(String, String), Value> {
    let folder = std::env::var("BACKSTOP_CRD_SCHEMAS").expect("BACKSTOP_CRD_SCHEMAS names the folder of the schemas");
    let mut schemas = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        // As JSON values they are far above the default budget of a small file.
        let options = serde_saphyr::options! { budget: None };
        let yaml = std::fs::read_to_string(&path).unwrap();
        let definitions: Vec<Value> = serde_saphyr::from_multiple_with_options(&yaml, options).unwrap();
        for definition in definitions {
            let spec = &definition["spec"];
            for version in spec["versions"].as_array().unwrap() {
                let api = format!("{}/{}", spec["group"].as_str().unwrap(), version["name"].as_str().unwrap());
                let kind = spec["names"]["kind"].as_str().unwrap().to_owned();
                schemas.insert((api, kind), strict(&version["schema"]["openAPIV3Schema"]));
            }
        }
    }
    // A Deployment's pods have the schema of a Rollout's.
    let rollout = &schemas[&("argoproj.io/v1alpha1".to_owned(), "Rollout".to_owned())];
    let pods = rollout["properties"]["spec"]["properties"]["template"].clone();
    let any = json!({});
    let deployment = object(&[
        ("apiVersion", &any),
        ("kind", &any),
        ("metadata", &any),
        ("spec", &object(&[("replicas", &any), ("selector", &any), ("strategy", &any), ("template", &pods)])),
    ]);
    schemas.insert(("apps/v1".to_owned(), "Deployment".to_owned()), deployment);
    schemas
}

fn object(properties: &[(&str, &Value)]) -> Value {
    let properties: Map<_, _> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), (*schema).clone())).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// The schema, which refuses properties that it does not name, as a server with strict field validation does.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut fields: Map<_, _> = fields.iter().map(|(key, value)| (key.clone(), strict(value))).collect();
            let is_closed = fields.contains_key("properties")
                && !fields.contains_key("additionalProperties")
                && fields.get("x-kubernetes-preserve-unknown-fields") != Some(&Value::Bool(true));
            if is_closed {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        other => other.clone(),
    }
}

/// Documents that have a schema, with their files; every other kind is named here.
fn checked() -> Vec<(String, Value, Validator)> {
    let schemas = schemas();
    let mut checked = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| all(folder, ".yaml")) {
        for document in documents(&path) {
            let of = |field: &str| document[field].as_str().unwrap_or_else(|| panic!("{path}: no {field}")).to_owned();
            let (api, kind) = (of("apiVersion"), of("kind"));
            match schemas.get(&(api.clone(), kind.clone())) {
                Some(schema) => checked.push((path.clone(), document, jsonschema::validator_for(schema).unwrap())),
                None if api == "v1" && ["Service", "ConfigMap", "PersistentVolumeClaim"].contains(&kind.as_str()) => {}
                None => panic!("{path}: no schema for {kind} of {api}"),
            }
        }
    }
    checked
}

#[test]
#[ignore = "needs BACKSTOP_CRD_SCHEMAS: scripts/test.sh"]
fn schemas_accept_every_document() {
    let checked = checked();
    for (path, document, schema) in &checked {
        let errors: Vec<_> = schema.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{path}: {errors:#?}");
    }
    assert!(checked.len() >= 11, "{} documents", checked.len());
}

/// Fields whose names are free: labels, arguments of hooks, quantities.
const FREE: [&str; 8] =
    ["/labels/", "/matchLabels/", "/metadata/", "/annotations/", "/requests/", "/limits/", "/volumes/", "/selector/"];

#[test]
#[ignore = "needs BACKSTOP_CRD_SCHEMAS: scripts/test.sh"]
fn schemas_refuse_every_misspelt_field() {
    let mut tried = 0;
    for (path, document, schema) in checked() {
        for pointer in fields(&document, "") {
            let is_free = FREE.iter().any(|free| pointer.contains(free)) || pointer == "/spec/strategy/type"; // of a Deployment
            if is_free || pointer == "/metadata" {
                continue;
            }
            let mut damaged = document.clone();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = damaged.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            let value = parent.remove(field).unwrap();
            parent.insert(format!("{field}x"), value);
            assert!(!schema.is_valid(&damaged), "{path}: {pointer} misspelt passes");
            tried += 1;
        }
    }
    assert!(tried >= 150, "{tried} fields");
}

/// Pointers to every field, in order.
fn fields(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let each = object.iter().map(|(key, value)| (format!("{at}/{}", key.replace('/', "~1")), value));
            each.flat_map(|(at, value)| [vec![at.clone()], fields(value, &at)].concat()).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, item)| fields(item, &format!("{at}/{i}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
#[ignore = "needs BACKSTOP_CRD_SCHEMAS: scripts/test.sh"]
fn schemas_refuse_a_value_of_another_type_and_a_missing_field() {
    let of = |path: &str| checked().into_iter().find(|(checked, ..)| checked == path).unwrap();
    let damage = |path: &str, pointer: &str, value: Value| {
        let (_, mut document, schema) = of(path);
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        assert!(!schema.is_valid(&document), "{path}: {pointer}");
    };
    damage("argo-rollouts/analysis-gate.yaml", "/spec/metrics/0/provider/web", json!({ "jsonPath": "{$}" }));
    damage("argo-rollouts/analysis-gate.yaml", "/spec/metrics/0/successCondition", json!(true));
    damage("argo-rollouts/rollout.yaml", "/spec/strategy/canary/steps/0/setWeight", json!("5"));
    damage("flagger/canary.yaml", "/spec/analysis/webhooks/0/type", json!("roll-back"));
    damage("flagger/canary.yaml", "/spec/analysis/stepWeights", json!(5));
    damage("flagger/metric-templates.yaml", "/spec/provider/type", json!("prometeus"));
}

/// Of all files, whether or not there are schemas.
#[test]
fn every_file_says_at_its_top_what_it_does_and_what_happens_without_data() {
    let folders = FOLDERS.into_iter().chain(["prometheus", "alertmanager"]);
    for path in folders.flat_map(|folder| all(folder, ".yaml")).filter(|path| !path.ends_with("_test.yaml")) {
        let text = text(&path);
        let head: String = text.lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        for word in ["Change:", "issing"] {
            assert!(head.contains(word), "{path}: the comment at its top says nothing of \"{word}\":\n{head}");
        }
        assert!(!parse(&text).unwrap().is_empty());
    }
    let dashboard: Value = serde_json::from_str(&text("grafana/dashboard.json")).unwrap();
    assert!(dashboard["description"].as_str().unwrap().contains("Data missing"));
}

/// Field case "canary pods crash-loop: no requests, no errors" (flagger#1578): the controllers end it, with or without a judge.
#[test]
fn a_canary_that_is_never_ready_has_a_deadline_in_both_controllers() {
    let canary = crate::files::named("flagger/canary.yaml", "checkout");
    let rollout = crate::files::named("argo-rollouts/rollout.yaml", "checkout");
    for spec in [&canary["spec"], &rollout["spec"]] {
        assert_eq!(spec["progressDeadlineSeconds"], 600);
    }
    assert_eq!(rollout["spec"]["progressDeadlineAbort"], true);
}
