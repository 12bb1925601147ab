//! `PythonService`: glyphs, watchers, and the core's `/api/python/execute`.
//!
//! **Invariant:** `result` is always the JSON of an ExecutionResult with
//! string `stdout` and `stderr`; `error` is empty exactly on success.

use super::{Plugin, Rewire, status};
use crate::api::attestations::Find;
use crate::api::outcome::{Bounds, sentence};
use crate::api::render::{self, Shape};
use crate::api::{Execute, body, execute, json};
use crate::caller::Caller;
use crate::error::{Rejected, RunError};
use crate::packages::Progress;
use crate::request::{Class, Request, Source};
use bytes::Bytes;
use proto::protocol::python_service_server::PythonService;
use proto::protocol::{PythonExecuteRequest, PythonExecuteResponse};
use tonic::{Response, Status};

/// Half of a message: `output` goes beside `result`.
const RESULT: Shape = Shape { variables: true, cap: render::MESSAGE_CAP / 2 };

#[tonic::async_trait]
impl<E: Execute, A: Find, R: Rewire> PythonService for Plugin<E, A, R> {
    async fn execute(
        &self,
        request: tonic::Request<PythonExecuteRequest>,
    ) -> Result<Response<PythonExecuteResponse>, Status> {
        let request = request.into_inner();
        let config = self.api.settings().config();
        if request.code.contains('\0') {
            return Ok(Response::new(refused("the code contains a NUL character")));
        }
        let mut run = Request::new(
            Source::Code { text: request.code, function: None },
            config.defaults.clone(),
        );
        run.glyph_id = request.glyph_id;
        if !request.upstream_attestation.trim_ascii().is_empty() {
            match body::object(&request.upstream_attestation, "upstream_attestation") {
                Ok(upstream) => run.upstream = Some(upstream),
                Err(rejected) => return Ok(Response::new(refused(&rejected.to_string()))),
            }
            // Nobody waits: an attestation fired.
            run.class = Class::Job;
        }
        if !run.glyph_id.is_empty() {
            run.caller = Caller::glyph(&run.glyph_id);
            if config.glyph_sessions {
                run.session = Some(format!("glyph:{}", run.glyph_id));
            }
        }
        let bounds = Bounds { limits: run.limits.clone(), ceiling: config.ceiling.clone() };
        let choice = match self.api.choose(&mut run, None, &Progress::default()).await {
            Ok(choice) => choice,
            // The program's own wish, and its fault.
            Err(RunError::Rejected(Rejected::Invalid { reason, .. })) => {
                return Ok(Response::new(refused(&reason)));
            }
            Err(error) => return Err(status(&error)),
        };
        let mut answer = self.api.runner().execute(run).await.map_err(|e| status(&e))?;
        choice.explain(&mut answer);
        let success = answer.outcome.success();
        let output = render::output(&answer);
        let error = sentence(&answer, &bounds).map(std::borrow::Cow::into_owned);
        let result = execute::rendered(answer, bounds, RESULT).await;
        let error = error.unwrap_or_default();
        Ok(Response::new(PythonExecuteResponse { success, output, error, result }))
    }
}

/// An answer for code that can't be run at all.
fn refused(reason: &str) -> PythonExecuteResponse {
    let mut writer = json::Writer::with_capacity(256);
    writer.object(|w| {
        w.key("success").bool(false);
        w.key("stdout").string("");
        w.key("stderr").string("");
        w.key("result").null();
        w.key("error").string(reason);
        w.key("duration_ms").number(0u32);
        w.key("variables").object(|_| {});
    });
    let result: Bytes = writer.finish();
    PythonExecuteResponse {
        success: false,
        output: String::new(),
        error: reason.to_owned(),
        result,
    }
}
