//! The folder for overflow, in whose place something else is when the engine goes.

use std::fs;
use std::path::{Path, PathBuf};

use execution_engine::types::OversizedOutputStrategy;

use crate::common::*;

/// A name as the engine gives it to its files.
const NAME: &str = "00000000-0000-4000-8000-000000000009-0.stdout";

fn engine(dir: &Path) -> ExecutionEngine {
    let config = ExecutionConfig {
        overflow_dir: Some(dir.to_owned()),
        oversized_output_strategy: OversizedOutputStrategy::StreamToFile,
        max_output_size_bytes: 10,
        min_free_disk_bytes: 0,
        ..Default::default()
    };
    ExecutionEngine::new(config).unwrap()
}

/// Returns the overflow file of an execution.
fn overflow(engine: &ExecutionEngine) -> PathBuf {
    let result = block_on(soon("the end", engine.run(shell("seq 1000")))).unwrap();
    result.stdout_overflow_file.clone().expect("it is longer than its cap")
}

#[test]
fn an_engine_that_goes_empties_its_folder_and_not_one_that_a_link_in_its_place_names() {
    for is_link in [false, true] {
        let dir = scratch();
        let first = engine(dir.path());
        let file = overflow(&first);
        let own = file.parent().unwrap();
        let archive = dir.path().join("archive");
        fs::write(own.join(NAME), "kept").unwrap();
        if is_link {
            fs::rename(own, &archive).unwrap();
            std::os::unix::fs::symlink(&archive, own).unwrap();
        }
        drop(first);
        // The file is the engine's, wherever it is.
        block_until("the file is removed with its record", || !file.exists());
        if !is_link {
            block_until("the folder is removed with its engine", || !own.exists());
            continue;
        }
        // The work of a directory is done in order.
        assert!(overflow(&engine(dir.path())).exists());
        assert_eq!(fs::read_to_string(archive.join(NAME)).unwrap(), "kept");
    }
}
