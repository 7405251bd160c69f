//! A program with an admin page on a real socket, and whoever asks it.

use backstop::Registry;
use backstop::admin::{Admin, AdminBuilder};
use backstop::clock::Timestamp;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{Author, Change, Definition, Editor, KillSwitch, KillSwitches, OnUnknown, SwitchId};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const WELL: u8 = 0;
pub(crate) const UNREACHABLE: u8 = 1;
pub(crate) const NOT_DURABLE: u8 = 2;
pub(crate) const HANGS: u8 = 3;

/// A store that is well until a test says otherwise.
#[derive(Clone, Default)]
pub(crate) struct Moody {
    inner: MemoryStore,
    mood: Arc<AtomicU8>,
}

impl Moody {
    pub(crate) fn is(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn say(&self) -> Result<(), StoreError> {
        while self.mood.load(Ordering::SeqCst) == HANGS {
            std::thread::sleep(Duration::from_millis(10));
        }
        match self.mood.load(Ordering::SeqCst) {
            UNREACHABLE => Err(StoreError::Other("connection refused".into())),
            _ => Ok(()),
        }
    }
}

impl Store for Moody {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.say()?;
        self.inner.read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.say()?;
        self.inner.compare_and_set(expected, generation, bytes)?;
        if self.mood.load(Ordering::SeqCst) == NOT_DURABLE {
            return Err(StoreError::NotDurable { path: "switches.json".into(), source: io::Error::other("full") });
        }
        Ok(())
    }

    fn put_back(&self, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.say()?;
        self.inner.put_back(generation, bytes)
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.say()?;
        self.inner.revision(generation)
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        self.say()?;
        self.inner.revisions()
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        self.inner.watch(wake)
    }
}

/// `mira` and `ana` may do everything, `vera` views, `nora` engages, `dora` drills, `rene` releases, `otto` does
/// everything to `other`, and `evi`'s time is over.
pub(crate) fn token(actor: &str) -> String {
    Token::from_bytes([actor.as_bytes()[0]; 32]).reveal()
}

pub(crate) fn access() -> AccessList {
    let now = Timestamp::now();
    let grant = |actor: &str| {
        let later = now + Duration::from_secs(9_999);
        Grant::new(actor, Token::from_bytes([actor.as_bytes()[0]; 32]).hash(), later)
            .verbs(Verb::ALL)
            .switches(Switches::All)
    };
    let expired = Grant::new("evi", Token::from_bytes([b'e'; 32]).hash(), now - Duration::from_secs(1));
    let expired = expired.verbs(Verb::ALL).switches(Switches::All);
    let only = grant("otto").switches(Switches::only(["other"]));
    let nora = grant("nora").verbs([Verb::Engage]);
    let (vera, dora) = (grant("vera").verbs([Verb::View]), grant("dora").verbs([Verb::Drill]));
    let rene = grant("rene").verbs([Verb::Release]);
    AccessList::new([grant("mira"), grant("ana"), vera, nora, dora, rene, only, expired], now).unwrap()
}

pub(crate) fn definition(owner: &str) -> Definition {
    Definition::new(owner, "recommendations", Timestamp::now() + Duration::from_secs(9_999_999), OnUnknown::Allow)
}

pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) store: Moody,
    pub(crate) editor: Editor,
    pub(crate) recs: KillSwitch,
    pub(crate) client: reqwest::Client,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder.access(access())).await
    }

    /// Generation 3: `recs` and `other` are defined.
    pub(crate) async fn with(set_up: impl FnOnce(AdminBuilder) -> AdminBuilder) -> Self {
        let store = Moody::default();
        let editor = Editor::new(store.clone());
        for id in ["recs", "other"] {
            let switch = SwitchId::new(id).unwrap();
            let by = Author::person("setup", Timestamp::now()).because("new");
            editor.change(&Change::Define { switch, definition: definition("team") }, &by).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let switches = KillSwitches::builder("shop").store(store.clone()).audit(AuditLog::new(&path)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        let builder = Admin::builder(switches).registry(Registry::new()).audit_file(path);
        let admin = set_up(builder).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { admin.serve(listener).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, store, editor, recs, client, folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, actor: &str, path: &str) -> (StatusCode, Value) {
        told(self.client.get(self.url(path)).bearer_auth(token(actor)).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, actor: &str, path: &str, body: Value) -> (StatusCode, Value) {
        told(self.client.post(self.url(path)).bearer_auth(token(actor)).json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn engage(&self, actor: &str) -> (StatusCode, Value) {
        self.post(actor, "/v1/switches/recs/engage", json!({ "reason": "wrong prices", "scope": { "all": true } }))
            .await
    }

    /// Sends bytes as they are; what comes back until the connection is closed.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes).await; // the other side may have heard enough
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Every answer is JSON, and says that it is nothing else.
pub(crate) async fn told(response: Response) -> (StatusCode, Value) {
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control") && name != "set-cookie"));
    let expected = if status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(headers["content-type"], expected);
    let text = response.text().await.unwrap();
    assert!(!text.contains("bks_"), "{text}");
    (status, serde_json::from_str(&text).unwrap())
}
