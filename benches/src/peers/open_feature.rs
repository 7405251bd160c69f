//! open-feature: flags asked by name. Its crate brings no provider that knows a flag, so the one here looks it up in
//! a map in memory: as little as a provider can do.

use std::collections::HashMap;
use std::sync::Arc;

use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{
    Client, EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, OpenFeature, StructValue,
    async_trait,
};

use crate::bare::{drive, request};
use crate::{Instance, Mechanism, Subject};

const FLAG: &str = "recommendations";

pub(super) const SUBJECT: Subject = Subject {
    mechanism: Mechanism::KillSwitch,
    name: "open-feature",
    title: "open-feature 0.3, a bool from a map in memory, future",
    admits: Some(|| flag(true)),
    rejects: Some(|| flag(false)),
};

/// One call asks the flag, and that it is on or off is what is expected.
fn flag(on: bool) -> Instance {
    let mut api = OpenFeature::default();
    let provider = Memory { flags: HashMap::from([(FLAG, on)]), metadata: ProviderMetadata::new("memory") };
    let client: Result<Client, ()> = drive(async {
        api.set_provider(provider).await;
        Ok(api.create_client())
    });
    let client = Arc::new(client.expect("it cannot fail"));
    Instance::new(move || {
        let client = Arc::clone(&client);
        move || {
            let answer = drive(client.get_bool_value(FLAG, None, None));
            request();
            answer.is_ok_and(|value| value == on)
        }
    })
}

struct Memory {
    flags: HashMap<&'static str, bool>,
    metadata: ProviderMetadata,
}

fn not_found<T>() -> EvaluationResult<T> {
    Err(EvaluationError::builder().code(EvaluationErrorCode::FlagNotFound).build())
}

#[async_trait]
impl FeatureProvider for Memory {
    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(&self, flag: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<bool>> {
        self.flags.get(flag).map_or_else(not_found, |value| Ok(ResolutionDetails::new(*value)))
    }

    async fn resolve_int_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<i64>> {
        not_found()
    }

    async fn resolve_float_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<f64>> {
        not_found()
    }

    async fn resolve_string_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        not_found()
    }

    async fn resolve_struct_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        not_found()
    }
}
