//! Variables of a step that are the output of other steps of its plan.

use std::collections::HashMap;

use uuid::Uuid;

use crate::command::path_of;
use crate::error::Invalid;
use crate::redact::{Allowance, MASK};
use crate::registry::Record;
use crate::types::{ErrorCode, ErrorInfo, ExecutionRequest, StepInput, step_of_output};

/// The longest output that becomes a variable, in bytes: Linux has no room for more in one.
const LONGEST: usize = 128 * 1024;

/// Takes from the requests of a plan which variables are outputs; each is empty until its step begins.
pub(super) fn take(commands: &mut [ExecutionRequest]) -> Result<Vec<Vec<StepInput>>, Invalid> {
    let steps = commands.len();
    if !commands.iter().flat_map(|request| request.env.values()).any(|value| step_of_output(value).is_some()) {
        return Ok(vec![Vec::new(); steps]);
    }
    let by_id: HashMap<Uuid, usize> = commands.iter().enumerate().map(|(index, request)| (request.id, index)).collect();
    let mut all = Vec::with_capacity(steps);
    for (index, request) in commands.iter_mut().enumerate() {
        let mut inputs = Vec::new();
        for (name, value) in &mut request.env {
            let Some(step) = step_of_output(value) else { continue };
            let by_index = step.parse::<usize>().ok().filter(|from| *from < steps);
            let from = by_index.or_else(|| by_id.get(&step.parse().ok()?).copied());
            let field = || format!("commands[{index}].{}.from", path_of(name));
            let Some(from) = from else {
                let last = steps.saturating_sub(1);
                let problem =
                    format!("there is no such step: give the index of another command, 0 to {last}, or its id");
                return Err(Invalid::new(field(), problem));
            };
            if from == index {
                let problem = format!("step {index} would wait for its own output: give another step");
                return Err(Invalid::new(field(), problem));
            }
            inputs.push(StepInput::new(name.clone(), from));
            value.clear();
        }
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        all.push(inputs);
    }
    Ok(all)
}

/// Returns the value of a variable: the output of its step, trimmed.
pub(super) fn value(input: &StepInput, record: Option<&Record>) -> Result<String, ErrorInfo> {
    let StepInput { name, from, .. } = input;
    let refused = |what: &str| {
        let field = path_of(name);
        let message = format!("invalid request: {field}: the output of step {from} cannot be a variable, since {what}");
        ErrorInfo { code: ErrorCode::InvalidRequest, message, errno: None }
    };
    let shown = record.and_then(|record| record.shown_result(&mut Allowance::unlimited()).ok().flatten());
    let result = shown.filter(|result| result.pid.is_some());
    let Some(result) = result else {
        return Err(refused("that step never ran: let this one run after its success only"));
    };
    if result.stdout_truncated {
        return Err(refused("it was truncated: write less, or pass it on in a file"));
    }
    let Ok(text) = std::str::from_utf8(result.stdout.raw()) else {
        return Err(refused("it is not UTF-8: encode it, or pass it on in a file"));
    };
    let text = text.trim();
    if text.contains('\0') {
        return Err(refused("it holds NUL: encode it, or pass it on in a file"));
    }
    if text.len() > LONGEST {
        return Err(refused("it is longer than 128 KiB: write less, or pass it on in a file"));
    }
    if text.contains(MASK) {
        return Err(refused("a secret in it was masked: pass the secret on as a variable of the host, or in a file"));
    }
    Ok(text.to_owned())
}
