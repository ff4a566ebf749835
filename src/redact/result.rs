//! Secrets in a result that was kept before they were added.

use std::path::PathBuf;
use std::sync::Arc;

use super::Secrets;
use crate::types::{ErrorInfo, ExecutionResult, Text};

/// Returns how many bytes of a result are searched.
pub(crate) fn shown_bytes(result: &ExecutionResult) -> usize {
    let of_path = result.log_path.as_ref().map_or(0, |path| path.as_os_str().len());
    usize::try_from(result.kept_bytes()).unwrap_or(usize::MAX).saturating_add(of_path)
}

impl Secrets {
    /// Returns a result with these secrets masked; `None` when there are none in it.
    pub(crate) fn mask_result(self: &Arc<Self>, result: &ExecutionResult) -> Option<ExecutionResult> {
        let output = |text: &Text| self.mask_bytes(text.raw()).map(|bytes| Text::new(bytes, text.encoding()));
        let (stdout, stderr) = (output(&result.stdout), output(&result.stderr));
        let has_masked_output = stdout.is_some() || stderr.is_some();
        let mut masked = result.without_output();
        let is_masked = self.mask_rest(&mut masked);
        if !is_masked && !has_masked_output {
            return None;
        }
        masked.stdout = stdout.unwrap_or_else(|| result.stdout.clone());
        masked.stderr = stderr.unwrap_or_else(|| result.stderr.clone());
        Some(masked)
    }

    /// Masks what is no output, and returns whether there was a secret in it.
    fn mask_rest(self: &Arc<Self>, result: &mut ExecutionResult) -> bool {
        let mut is_masked = false;
        let mut text = |text: &mut String| {
            if let Some(bytes) = self.mask_bytes(text.as_bytes()) {
                *text = String::from_utf8_lossy(&bytes).into_owned();
                is_masked = true;
            }
        };
        let of_retries = result.retries.iter_mut().filter_map(|attempt| attempt.error.as_mut());
        result.error.iter_mut().chain(of_retries).for_each(|ErrorInfo { message, .. }| text(message));
        let processes = result.diagnosis.iter_mut().flat_map(|diagnosis| &mut diagnosis.processes);
        processes.for_each(|process| text(&mut process.command));
        if let Some(path) = &mut result.log_path
            && let Some(masked) = self.mask_bytes(path.as_os_str().as_encoded_bytes())
        {
            *path = PathBuf::from(String::from_utf8_lossy(&masked).into_owned());
            is_masked = true;
        }
        is_masked
    }
}
