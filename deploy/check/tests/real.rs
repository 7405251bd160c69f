//! The real endpoint: a judge that judges ticks, behind its router, asked over HTTP.

use crate::answers::{DECISIONS, hook_status};
use crate::argo::{Answer, Phase};
use backstop::rollback::{Arm, Instances, Policy, Segment, Tick};
use backstop::rollout::judging::Judging;
use backstop::rollout::source::{Source, SourceError};
use backstop::rollout::verdicts::{HookToken, router, serve};
use serde_json::Value;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A source of ticks that a test sends.
struct Sent(Receiver<Tick>);

impl Source for Sent {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        Ok(self.0.try_recv().ok())
    }
}

/// A judge with its server; both end with it.
pub(crate) struct Real {
    pub(crate) judging: Judging,
    ticks: Sender<Tick>,
    at: f64,
    address: String,
    runtime: tokio::runtime::Runtime,
}

fn arm(requests: f64, errors: f64) -> Arm {
    let mut segment = Segment::default();
    (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
    let mut arm = Arm::default();
    arm.segments.insert("default".to_owned(), segment);
    arm.instances = Some(Instances { total: 4.0, ..Instances::default() });
    arm
}

impl Real {
    /// Judges `checkout`; its errors act as `acts`.
    pub(crate) fn new(acts: &str) -> Self {
        let policy = Policy::DEFAULT.replacen("acts = \"rollback\"", &format!("acts = \"{acts}\""), 1);
        let policy = Policy::parse(&policy).unwrap();
        let (ticks, received) = channel();
        let mut judging = Judging::new("checkout", policy, Sent(received));
        judging.begin("r1");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let token = HookToken::new(&token()).unwrap();
        runtime.spawn(serve(listener, router([judging.verdicts()], Some(token))));
        Self { judging, ticks, at: 1_000.0, address, runtime }
    }

    /// A second in which the canary failed `errors` of 100 requests.
    pub(crate) fn second(&mut self, requests: f64, errors: f64) {
        self.at += 1.0;
        self.ticks.send(Tick::new(self.at, arm(requests, errors), Some(arm(1_900.0, 2.0))).unwrap()).unwrap();
        self.judging.look();
    }

    pub(crate) fn in_state(decision: &str) -> Self {
        let mut real = Self::new(if decision == "pause" { "pause" } else { "rollback" });
        let errors = if matches!(decision, "pause" | "rollback") { 40.0 } else { 0.0 };
        for _ in 0..20 {
            if decision != "collecting" {
                real.second(100.0, errors);
            }
        }
        real
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        self.runtime.block_on(async {
            let response = reqwest::get(url).await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    /// As Argo Rollouts sends the request of the shipped template.
    pub(crate) fn begin(&self, rollout: &str) -> Answer {
        let (path, authorization, body) = begin(rollout);
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.address)).json(&body);
        self.runtime.block_on(async {
            let response = request.header("authorization", authorization).send().await.unwrap();
            Answer::Http(response.status().as_u16(), response.text().await.unwrap())
        })
    }

    /// As Flagger calls a hook of the shipped Canary.
    pub(crate) fn hook(&self, name: &str, checksum: &str) -> (u16, String) {
        let canary = crate::files::named("flagger/canary.yaml", "checkout");
        let webhooks = canary["spec"]["analysis"]["webhooks"].as_array().unwrap();
        let webhook = webhooks.iter().find(|webhook| webhook["type"] == name).unwrap();
        let path = webhook["url"].as_str().unwrap().strip_prefix("http://backstop-judge:9909").unwrap();
        let payload = serde_json::json!({ "name": "checkout", "namespace": "shop", "phase": "Progressing",
            "checksum": checksum, "metadata": webhook["metadata"], "canaryWeight": 5 });
        let url = format!("http://{}{path}", self.address);
        self.runtime.block_on(async {
            let response = reqwest::Client::new().post(url).json(&payload).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }
}

/// The token of the judge: that of the shipped Canary.
pub(crate) fn token() -> String {
    let canary = crate::files::named("flagger/canary.yaml", "checkout");
    canary["spec"]["analysis"]["webhooks"][0]["metadata"]["token"].as_str().unwrap().to_owned()
}

/// Path, authorization and body of the request that begins a rollout.
pub(crate) fn begin(rollout: &str) -> (String, String, Value) {
    let metric = &crate::files::named("argo-rollouts/analysis-begin.yaml", "backstop-begin")["spec"]["metrics"][0];
    let web = &metric["provider"]["web"];
    assert_eq!((&web["method"], &web["headers"][0]["key"]), (&"POST".into(), &"Authorization".into()));
    let set = |text: &str| {
        let text = text.replace("{{args.service}}", "checkout").replace("{{args.rollout}}", rollout);
        text.replace("{{args.token}}", &token())
    };
    let path = web["url"].as_str().unwrap().strip_prefix("http://backstop-judge:9909").unwrap();
    let authorization = set(web["headers"][0]["value"].as_str().unwrap());
    (path.to_owned(), authorization, serde_json::from_str(&set(&web["jsonBody"].to_string())).unwrap())
}

/// The path and query of a template's URL.
pub(crate) fn path(template: &str, rollout: &str) -> String {
    let template = &crate::files::documents(template)[0];
    let url = template["spec"]["metrics"][0]["provider"]["web"]["url"].as_str().unwrap();
    let path = url.strip_prefix("http://backstop-judge:9909").unwrap();
    path.replace("{{args.service}}", "checkout").replace("{{args.rollout}}", rollout)
}

#[test]
fn the_real_endpoint_answers_as_the_simulations_say() {
    let literal: Value = serde_json::from_str(&crate::answers::verdict("continue")).unwrap();
    for decision in DECISIONS {
        let real = Real::in_state(decision);
        for template in ["analysis-background", "analysis-gate", "analysis-gate-before-1.8"] {
            let (status, body) = real.get(&path(&format!("argo-rollouts/{template}.yaml"), "r1"));
            let answer: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, &answer["decision"]), (200, &Value::from(decision)), "{body}");
            let missing = literal.as_object().unwrap().keys().find(|field| answer.get(*field).is_none());
            assert_eq!(missing, None, "a documented field");
            assert!(!answer["sentence"].as_str().unwrap().is_empty());
        }
        for hook in ["rollback", "confirm-rollout", "confirm-traffic-increase", "confirm-promotion"] {
            let (status, reason) = real.hook(hook, "r1");
            assert_eq!(status, hook_status(hook, decision, decision == "collecting"), "{hook}, {decision}");
            assert!(reason.starts_with(decision), "the reason is in the body: {reason}");
        }
    }
}

#[test]
fn a_rollout_is_judged_for_argo_once_it_has_begun_and_another_one_is_collecting() {
    let mut real = Real::in_state("rollback");
    let decision = |real: &Real, rollout: &str| {
        let (status, body) = real.get(&path("argo-rollouts/analysis-background.yaml", rollout));
        let answer: Value = serde_json::from_str(&body).unwrap();
        (status, answer["decision"].as_str().unwrap().to_owned())
    };
    assert_eq!(decision(&real, "r2"), (200, "collecting".to_owned()), "it is not judged");
    assert_eq!(decision(&real, "r1"), (200, "rollback".to_owned()), "and a question changes nothing");
    let begin = &crate::files::documents("argo-rollouts/analysis-begin.yaml")[0]["spec"]["metrics"][0];
    let phase = |answer: &Answer| {
        let mut metric = begin.clone();
        metric["successCondition"] =
            begin["successCondition"].as_str().unwrap().replace("{{args.rollout}}", "r2").into();
        crate::argo::measure(&metric, answer)
    };
    assert_eq!(phase(&real.begin("r2")), Phase::Successful);
    for (status, body) in [(401, "{}"), (403, "{}"), (404, "{}"), (503, "")] {
        assert_eq!(phase(&Answer::Http(status, body.to_owned())), Phase::Error);
    }
    for _ in 0..20 {
        real.second(100.0, 0.0);
    }
    assert_eq!(decision(&real, "r2"), (200, "continue".to_owned()));
    assert_eq!(decision(&real, "r1"), (200, "collecting".to_owned()), "the old one promotes nothing");
    assert_eq!(real.get("/v1/verdict?service=other").0, 404);
}

/// A verdict latches; the next release has another checksum, and is not held by it.
#[test]
fn the_next_release_after_a_rollback_is_confirmed() {
    let real = Real::in_state("rollback");
    assert_eq!(real.hook("confirm-rollout", "r1").0, 403);
    assert_eq!(real.hook("confirm-rollout", "r2").0, 200);
    assert_eq!(real.hook("rollback", "r2").0, 403);
}

/// Field case "why it was rolled back is visible nowhere" (argo-rollouts#404).
#[test]
fn a_rollback_says_why_in_the_verdict_the_hook_and_the_metrics() {
    let real = Real::in_state("rollback");
    let answer: Value = serde_json::from_str(&real.get("/v1/verdict").1).unwrap();
    let sentence = answer["sentence"].as_str().unwrap();
    assert!(sentence.contains("errors"), "{sentence}");
    assert!(real.hook("rollback", "r1").1.contains(sentence));
    let (_, page) = real.get("/metrics");
    assert!(page.contains("backstop_verdict{service=\"checkout\"} 3"), "{page}");
    let fired = |line: &&str| line.contains("trigger=\"errors\",state=\"fired\"") && line.ends_with(" 1");
    assert_eq!(page.lines().filter(fired).count(), 1, "{page}");
}

/// Field case "the query sums pods of both versions, so canary and baseline are the same numbers" (kayenta#538).
#[test]
fn arms_that_look_like_one_are_a_warning_in_the_answer() {
    let mut real = Real::new("rollback");
    for _ in 0..12 {
        real.second(1_900.0, 2.0);
    }
    let answer: Value = serde_json::from_str(&real.get("/v1/verdict").1).unwrap();
    assert!(answer["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()), "{answer}");
}

/// Argo's decisions over real answers: those of the literal ones.
#[test]
fn real_answers_are_measured_as_intended() {
    use crate::argo::measure;
    let templates = ["analysis-background", "analysis-gate", "analysis-gate-before-1.8"]
        .map(|name| format!("argo-rollouts/{name}.yaml"));
    let intended = [
        ("continue", [Phase::Successful, Phase::Successful, Phase::Successful]),
        ("collecting", [Phase::Successful, Phase::Inconclusive, Phase::Error]),
        ("pause", [Phase::Successful, Phase::Inconclusive, Phase::Error]),
        ("rollback", [Phase::Failed, Phase::Failed, Phase::Failed]),
    ];
    for (decision, phases) in intended {
        let real = Real::in_state(decision);
        let measured = templates.each_ref().map(|template| {
            let (status, body) = real.get(&path(template, "r1"));
            measure(&crate::files::documents(template)[0]["spec"]["metrics"][0], &Answer::Http(status, body))
        });
        assert_eq!(measured, phases, "{decision}");
    }
}

/// Flagger's loop around the real judge: an interval is three seconds here.
struct InTheLoop(Real, f64);

impl crate::flagger::Outside for InTheLoop {
    fn hook(&mut self, name: &str) -> Option<u16> {
        Some(self.0.hook(name, "r1").0)
    }

    fn metric(&mut self, name: &str) -> Option<f64> {
        let verdict = f64::from(self.0.judging.look().decision().code());
        Some(if name == "backstop-verdict" { verdict } else { 0.0 })
    }
}

fn interval(flagger: &mut crate::flagger::Flagger, outside: &mut InTheLoop) {
    if flagger.weight > 0 {
        let errors = outside.1;
        (0..3).for_each(|_| outside.0.second(100.0, errors));
    }
    flagger.interval(outside);
}

#[test]
fn flagger_around_the_real_judge_promotes_rolls_back_and_holds() {
    use crate::flagger::{Flagger, Phase, Version};
    let canary = crate::files::named("flagger/canary.yaml", "checkout");
    for (acts, errors, end, weight) in [
        ("rollback", 0.0, Phase::Succeeded, 0),
        ("rollback", 40.0, Phase::Failed, 0),
        ("pause", 40.0, Phase::Progressing, 5),
    ] {
        let mut outside = InTheLoop(Real::new(acts), errors);
        let mut flagger = Flagger::new(&canary, Version::Released);
        for _ in 0..10 {
            interval(&mut flagger, &mut outside);
        }
        assert_eq!((flagger.phase, flagger.weight), (end, weight), "{acts} {errors}");
        if acts == "pause" {
            outside.0.judging.override_by("an operator", "the errors are the load test's");
            outside.1 = 0.0;
            (0..10).for_each(|_| interval(&mut flagger, &mut outside));
            assert_eq!(flagger.phase, Phase::Succeeded, "approved, and goes on");
        }
    }
}
