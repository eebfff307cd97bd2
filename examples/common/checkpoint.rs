//! A checkpoint file for anything that serde can save. It is loaded whole, or rejected.
//!
//! The file is a line with program and version, the length of the state (u64, little-endian), its CRC-32 (u32,
//! little-endian), and the state in postcard's format. A CRC-32 detects every damage of up to 32 neighbouring bits, and
//! misses one in 2^32 of others. It does not protect against an attacker.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

/// Increase the version whenever the type of the state changes: postcard saves no names, so it cannot tell.
const FORMAT: &[u8] = b"resume.rs checkpoint, version 3\n";

/// Saves `state` at `path`. If the process or the machine dies at any moment, `path` holds the old checkpoint or the
/// new one, whole. Only one process may save at a time: the unfinished file is always `path` with `.tmp` at the end.
pub(crate) fn save<T: Serialize>(path: &Path, state: &T) -> Result<()> {
    replace(path, &postcard::to_allocvec(state)?).with_context(|| format!("{}: not saved", path.display()))
}

/// Loads what `save` saved at `path`; `None` if there is no file. Anything else is an error, not a fresh start.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map_err(Into::into).and_then(|bytes| decoded(&bytes)).map(Some),
    }
    .with_context(|| path.display().to_string())
}

fn replace(path: &Path, state: &[u8]) -> Result<()> {
    let mut unfinished = OsString::from(path);
    unfinished.push(".tmp"); // in the same directory, because a rename must stay in one file system
    let mut file = File::create(&unfinished)?;
    file.write_all(FORMAT)?;
    file.write_all(&(state.len() as u64).to_le_bytes())?;
    file.write_all(&crc32fast::hash(state).to_le_bytes())?;
    file.write_all(state)?;
    file.sync_all()?; // contents before name: otherwise a power cut may leave the name on an empty file
    fs::rename(&unfinished, path)?;
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?; // makes the new name durable
    }
    Ok(())
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let format = &bytes[..bytes.len().min(FORMAT.len())];
    ensure!(
        format == FORMAT,
        "not a checkpoint of this version: it begins with \"{}\", expected \"{}\"",
        format.escape_ascii(),
        FORMAT.escape_ascii()
    );
    let cut = || format!("cut off in its header, after {} bytes", bytes.len());
    let (len, rest) = bytes[FORMAT.len()..].split_first_chunk().with_context(cut)?;
    let (checksum, state) = rest.split_first_chunk().with_context(cut)?;
    let (len, checksum) = (u64::from_le_bytes(*len), u32::from_le_bytes(*checksum));
    ensure!(state.len() as u64 == len, "cut off or added to: {} bytes of state, expected {len}", state.len());
    let found = crc32fast::hash(state);
    ensure!(found == checksum, "damaged: the state's checksum is {found:08x}, expected {checksum:08x}");
    match postcard::take_from_bytes(state) {
        Ok((state, [])) => Ok(state),
        Ok((_, rest)) => bail!("another state than this program's: {} bytes are left over", rest.len()),
        Err(error) => Err(error).context("another state than this program's"),
    }
}
