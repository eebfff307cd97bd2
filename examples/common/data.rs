//! The two data sets: the embedded digits, and MNIST from its four files.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;

/// Images, each a row of `inputs` pixels from 0 to 1, and their classes from 0 to 9.
#[derive(Default)]
pub(crate) struct Samples {
    pub(crate) inputs: usize,
    pub(crate) pixels: Vec<f32>,
    pub(crate) labels: Vec<u8>,
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn get(&self, sample: usize) -> (&[f32], usize) {
        let start = sample * self.inputs;
        (&self.pixels[start..start + self.inputs], usize::from(self.labels[sample]))
    }
}

pub(crate) struct Split {
    pub(crate) train: Samples,
    pub(crate) held_out: Samples,
}

/// The 1,797 embedded digits (see `examples/data/README.md`), a fifth of them held out.
///
/// Every fifth block of ten lines is held out: rows 40 to 49, 90 to 99, …. This does not depend on the seed, so results
/// of different seeds can be compared, and each writer's digits (neighbours in the file) are on both sides. Because the
/// training digits are few, each appears five times: as it is, and shifted by half a pixel in each of four directions.
pub(crate) fn digits() -> Result<Split> {
    let csv = gunzip(include_bytes!("../data/digits.csv.gz"))?;
    let none = || Samples { inputs: 64, pixels: Vec::new(), labels: Vec::new() };
    let mut split = Split { train: none(), held_out: none() };
    for (row, line) in String::from_utf8(csv)?.lines().enumerate() {
        let values = line.split(',').map(str::parse).collect::<Result<Vec<u8>, _>>()?;
        let [pixels @ .., label] = values.as_slice() else { bail!("an empty line") };
        let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 16.0).collect::<Vec<f32>>();
        let held_out = row / 10 % 5 == 4;
        let samples = if held_out { &mut split.held_out } else { &mut split.train };
        for (dx, dy) in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)].into_iter().take(if held_out { 1 } else { 5 }) {
            samples.pixels.extend(shifted(&pixels, dx, dy));
            samples.labels.push(*label);
        }
    }
    Ok(split)
}

/// An image of 8 × 8 pixels, shifted by half of (dx, dy): each pixel is the mean of itself and the one at (dx, dy).
fn shifted(pixels: &[f32], dx: isize, dy: isize) -> impl Iterator<Item = f32> {
    (0..64).map(move |i: isize| {
        let (x, y) = (i % 8 + dx, i / 8 + dy);
        let there = if (0..8).contains(&x) && (0..8).contains(&y) { pixels[(8 * y + x) as usize] } else { 0.0 };
        (pixels[i as usize] + there) / 2.0
    })
}

/// MNIST, or another data set in the same four files. Its test images are the held-out ones.
pub(crate) fn mnist(dir: &Path) -> Result<Split> {
    let (train_shape, train) = images_and_labels(dir, "train")?;
    let (test_shape, held_out) = images_and_labels(dir, "t10k")?;
    ensure!(
        train_shape == test_shape,
        "{}: the train images have {train_shape:?} pixels, the t10k images {test_shape:?}",
        dir.display()
    );
    Ok(Split { train, held_out })
}

fn images_and_labels(dir: &Path, set: &str) -> Result<([usize; 2], Samples)> {
    let ([images, height, width], pixels) = idx(dir, &format!("{set}-images-idx3-ubyte"))?;
    let ([labels], classes) = idx(dir, &format!("{set}-labels-idx1-ubyte"))?;
    ensure!(images == labels, "{}: {images} {set} images, but {labels} {set} labels", dir.display());
    if let Some(class) = classes.iter().find(|&&class| class > 9) {
        bail!("{}: a {set} label is {class}, expected 0 to 9", dir.display());
    }
    let pixels = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    Ok(([height, width], Samples { inputs: height * width, pixels, labels: classes }))
}

/// The sizes and the data of the IDX file `name` in `dir`, raw or `.gz`.
///
/// The format: bytes 0, 0, 8 ("unsigned bytes"), the number of dimensions, each size as a big-endian u32, the data.
fn idx<const DIMENSIONS: usize>(dir: &Path, name: &str) -> Result<([usize; DIMENSIONS], Vec<u8>)> {
    let raw = dir.join(name);
    let path = if raw.exists() { raw } else { dir.join(format!("{name}.gz")) };
    ensure!(path.exists(), "{}: neither {name} nor {name}.gz is there", dir.display());
    read_idx(&path).with_context(|| path.display().to_string())
}

fn read_idx<const DIMENSIONS: usize>(path: &Path) -> Result<([usize; DIMENSIONS], Vec<u8>)> {
    let mut bytes = fs::read(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        bytes = gunzip(&bytes)?;
    }
    let header = 4 + 4 * DIMENSIONS;
    ensure!(
        bytes.len() >= header && bytes.starts_with(&[0, 0, 8, DIMENSIONS as u8]),
        "not an IDX file of unsigned bytes in {DIMENSIONS} dimensions"
    );
    let mut sizes = [0; DIMENSIONS];
    for (size, word) in sizes.iter_mut().zip(bytes[4..header].chunks_exact(4)) {
        *size = u32::from_be_bytes(word.try_into()?) as usize;
    }
    let data = bytes.split_off(header);
    // In u128, because the product of the three sizes of a foreign file may exceed usize::MAX.
    let expected: u128 = sizes.iter().map(|&size| size as u128).product();
    ensure!(expected > 0, "no data: the sizes are {sizes:?}");
    ensure!(data.len() as u128 == expected, "{} bytes of data, expected {expected}: {sizes:?}", data.len());
    Ok((sizes, data))
}

fn gunzip(gz: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(gz).read_to_end(&mut bytes).context("not a sound gzip file")?;
    Ok(bytes)
}
