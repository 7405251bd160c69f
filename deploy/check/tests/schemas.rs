//! Every document against the schema of its kind: those of the controllers' own resource definitions, unknown fields refused.
//!
//! The definitions are in the folder that `BACKSTOP_CRD_SCHEMAS` names, as files of `CustomResourceDefinition`s.

use crate::files::{all, documents, parse, text};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FOLDERS: [&str; 4] = ["argo-rollouts", "flagger", "kubernetes", "rollout"];

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
    for (api, kind, spec) in tables() {
        let metadata = json!({ "name": "string", "labels": "object" });
        let all = json!({ "apiVersion": "string", "kind": "string", "metadata": metadata, "spec": spec });
        let mut schema = of_table(&all);
        if kind == "Deployment" {
            schema["properties"]["spec"]["properties"]["template"] = pods.clone();
        }
        schemas.insert((api.to_owned(), kind.to_owned()), schema);
    }
    schemas
}

/// Fields of the kinds that no resource definition describes, as the files use them: a type's name, an object of fields, or a
/// list of one.
fn tables() -> [(&'static str, &'static str, Value); 5] {
    let port = json!({ "name": "string", "port": "integer", "targetPort": ["integer", "string"] });
    let route = json!({ "destination": { "host": "string", "subset": "string" }, "weight": "integer" });
    let deployment = json!({ "replicas": "integer", "selector": { "matchLabels": "object" }, "strategy": { "type": "string" },
        "template": "object" });
    let expression = json!({ "key": "string", "operator": "string", "values": ["string"] });
    let from = json!({ "namespaceSelector": { "matchExpressions": [expression] } });
    let policy = json!({ "podSelector": { "matchLabels": "object" }, "policyTypes": ["string"],
        "ingress": [{ "from": [from], "ports": [{ "port": "integer" }] }] });
    [
        ("apps/v1", "Deployment", deployment),
        ("networking.k8s.io/v1", "NetworkPolicy", policy),
        (
            "v1",
            "Service",
            json!({ "clusterIP": "string", "publishNotReadyAddresses": "boolean", "selector": "object", "ports": [port] }),
        ),
        ("v1", "PersistentVolumeClaim", json!({ "accessModes": ["string"], "resources": { "requests": "object" } })),
        ("networking.istio.io/v1", "VirtualService", json!({ "hosts": ["string"], "http": [{ "route": [route] }] })),
    ]
}

fn of_table(table: &Value) -> Value {
    match table {
        Value::Object(fields) => {
            let fields: Map<_, _> = fields.iter().map(|(name, field)| (name.clone(), of_table(field))).collect();
            json!({ "type": "object", "properties": fields, "additionalProperties": false })
        }
        Value::Array(items) if items.len() == 1 => json!({ "type": "array", "items": of_table(&items[0]) }),
        types => json!({ "type": types }),
    }
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

/// Every document with its file and the schema of its kind.
fn checked() -> Vec<(String, Value, Validator)> {
    let schemas = schemas();
    let mut checked = Vec::new();
    for path in FOLDERS.iter().flat_map(|folder| all(folder, ".yaml")) {
        for document in documents(&path) {
            let of = |field: &str| document[field].as_str().unwrap_or_else(|| panic!("{path}: no {field}")).to_owned();
            let (api, kind) = (of("apiVersion"), of("kind"));
            match schemas.get(&(api.clone(), kind.clone())) {
                Some(schema) => checked.push((path.clone(), document, jsonschema::validator_for(schema).unwrap())),
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
    assert!(checked.len() >= 17, "{} documents", checked.len());
}

/// Fields whose names are free: labels, arguments of hooks, bodies of requests, quantities.
const FREE: [&str; 9] = [
    "/labels/",
    "/matchLabels/",
    "/metadata/",
    "/annotations/",
    "/requests/",
    "/limits/",
    "/volumes/",
    "/selector/",
    "/jsonBody/",
];

#[test]
#[ignore = "needs BACKSTOP_CRD_SCHEMAS: scripts/test.sh"]
fn schemas_refuse_every_misspelt_field() {
    let mut tried = 0;
    for (path, document, schema) in checked() {
        for pointer in fields(&document, "") {
            // The definitions leave names and labels of an object open.
            let is_free = FREE.iter().any(|free| pointer.contains(free)) || pointer == "/metadata";
            if is_free {
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
    assert!(tried >= 200, "{tried} fields");
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
    damage("rollout/virtual-service.yaml", "/spec/http/0/route/0/weight", json!("100"));
}

/// `istio-weight.sh` patches and reads these fields by their place.
#[test]
fn the_patched_weights_are_those_of_the_stable_and_the_canary_route() {
    let (service, script) = (&documents("rollout/virtual-service.yaml")[0], text("rollout/istio-weight.sh"));
    for (i, subset) in ["stable", "canary"].into_iter().enumerate() {
        let route = format!("/spec/http/0/route/{i}");
        assert!(script.contains(&format!("\"path\":\"{route}/weight\"")), "{route}");
        assert_eq!(service.pointer(&format!("{route}/destination/subset")), Some(&json!(subset)));
    }
    assert!(script.contains("{.spec.http[0].route[1].weight}"), "the canary's is read back");
    let name = format!("name={}", service["metadata"]["name"].as_str().unwrap());
    assert!(script.lines().any(|line| line == name), "{name}");
}

/// No release of Flagger has the phase in which `OwnPhase` waits: its definition, an enumeration, would refuse the status.
#[test]
#[ignore = "needs BACKSTOP_CRD_SCHEMAS: scripts/test.sh"]
fn schemas_know_every_phase_of_the_simulation_but_the_one_of_a_proposed_change() {
    use crate::flagger::Phase;
    let canary = &schemas()[&("flagger.app/v1beta1".to_owned(), "Canary".to_owned())];
    let phases = &canary["properties"]["status"]["properties"]["phase"]["enum"];
    let is_known = |phase: Phase| phases.as_array().unwrap().contains(&json!(format!("{phase:?}")));
    for phase in [Phase::Initialized, Phase::Waiting, Phase::Progressing, Phase::WaitingPromotion, Phase::Promoting] {
        assert!(is_known(phase), "{phase:?}");
    }
    assert!([Phase::Finalising, Phase::Succeeded, Phase::Failed].into_iter().all(is_known));
    assert!(!is_known(Phase::WaitingTrafficIncrease));
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
