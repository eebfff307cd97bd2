use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{
    generator::{BLOCK, generator, unit, with_bytes},
    hash::stable_hash,
    normal32, normal64,
    shuffle::draw,
};
use crate::{check, error::Error, simd::wide};

/// Random numbers for everything else that a seed decides: initial weights, noise, dropout, augmentation.
///
/// A `Draws` is a stream of random numbers, a pure function of (purpose, two counters, seed). Streams that differ in
/// any of these are independent, unless two purposes have the same [`stable_hash`] (a chance of 2^-64 per pair). So a
/// resumed run has no draws to replay: give each step its own counter, or each sample its epoch and its index. All
/// values are frozen; [`order`](crate::order) describes them. Filling a slice gives the same numbers as that many
/// single draws.
///
/// The first [`word`](Self::word) of a stream can be the seed of whatever needs a seed of its own:
/// `Draws::new("images", [0, 0], seed).word()`.
///
/// | draw | is | 32-bit words of the stream |
/// |---|---|---|
/// | [`word`](Self::word) | 64 random bits | 2 |
/// | [`below`](Self::below) | an integer below n, all exactly equally likely (Lemire 2019) | 2, and 2 more for each word that is rejected, with probability (2^64 mod n) / 2^64 |
/// | [`uniform`](Self::uniform) | a multiple of 2^-24 (f32) or 2^-53 (f64) in [0, 1) | 1 (f32), 2 (f64) |
/// | [`normal`](Self::normal) | mean 0, variance 1: the quantile of one of 2^32 probabilities (f32, within ±6.338) or of 2^64 (f64, within ±9.155) (Wichura 1988) | 1 (f32), 2 (f64) |
/// | [`coin`](Self::coin) | true if a uniform f64 is below p | 2 |
///
/// Cost: mostly ChaCha8 (`benches/README.md` has the figures). The first draw of a stream computes 256 bytes of it, so
/// a stream for a single draw costs tens of times as much as the draw. With feature `simd`, slices are filled with wide
/// vectors, and for 128 draws or more these also compute the ChaCha8. No allocation; a `Draws` takes some 300 bytes.
///
/// # Example
/// The usual initialisations, for a layer of `inputs` (fan-in) and `outputs` (fan-out):
/// ```
/// use gradstep::Draws;
/// # fn main() -> Result<(), gradstep::Error> {
/// let (inputs, outputs, seed, layer) = (784.0_f32, 128.0, 42, 0);
/// let mut weights = vec![0.0_f32; 784 * 128];
/// let mut draws = Draws::new("weights", [layer, 0], seed);
///
/// // Glorot and Bengio 2010: variance 2 / (inputs + outputs); uniform in ±√(3 · variance), or normal.
/// weights.fill_with(|| (6.0 / (inputs + outputs)).sqrt() * (2.0 * draws.uniform::<f32>() - 1.0));
/// weights.fill_with(|| (2.0 / (inputs + outputs)).sqrt() * draws.normal::<f32>());
/// // He et al. 2015, for ReLU: variance 2 / inputs.
/// weights.fill_with(|| (6.0 / inputs).sqrt() * (2.0 * draws.uniform::<f32>() - 1.0));
/// weights.fill_with(|| (2.0 / inputs).sqrt() * draws.normal::<f32>());
/// # let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
/// # assert!((variance * inputs / 2.0 - 1.0).abs() < 0.02);
///
/// // Dropout at step 1,000: half of the units. Sample 17 in epoch 3: mirrored or not, moved by up to 4 pixels.
/// let mut keep = [false; 128];
/// Draws::new("dropout", [1_000, layer], seed).fill_coin(0.5, &mut keep)?;
/// let mut sample = Draws::new("augmentation", [3, 17], seed);
/// let (mirrored, right, down) = (sample.coin(0.5)?, sample.below(9)? as i64 - 4, sample.below(9)? as i64 - 4);
/// # assert!(right.abs() <= 4 && down.abs() <= 4);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "dropout")]
#[doc(alias = "rng")]
#[doc(alias = "init")]
#[doc(alias = "augmentation")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws {
    generator: ChaCha8Rng,
}

impl Draws {
    /// The stream of this purpose, counters and seed, from its beginning.
    ///
    /// The purpose is any name; only its [`stable_hash`] matters. The counters tell apart streams with the same
    /// purpose, by layer, by step, or by epoch and sample. Pass 0 where there is nothing to count.
    pub fn new(purpose: &str, counters: [u64; 2], seed: u64) -> Self {
        Draws { generator: generator(b"draws  1", seed, stable_hash(purpose.as_bytes()), counters[0], counters[1]) }
    }

    /// How many 32-bit words of the stream have been drawn; [`seek`](Self::seek) returns to such a position. Stops at
    /// `u64::MAX`.
    pub fn position(&self) -> u64 {
        u64::try_from(self.generator.get_word_pos()).unwrap_or(u64::MAX)
    }

    /// Moves to 32-bit word `position` of the stream, forwards or back. This costs as much as creating a stream.
    ///
    /// The table above says how many words a draw takes: after k draws of f32 numbers the position is k, and after k
    /// words, f64 numbers or coins it is 2 k. [`below`](Self::below) may reject words and take more, so its draw k is
    /// not always at 2 k: keep its [`position`](Self::position), or give each draw a stream of its own by a counter.
    ///
    /// # Example
    /// ```
    /// use gradstep::Draws;
    /// let mut draws = Draws::new("crops", [0, 0], 42);
    /// let n = (1 << 63) + 1; // nearly every second word is rejected
    /// for _ in 0..60 {
    ///     draws.below(n)?;
    /// }
    /// let position = draws.position();
    /// assert!(position > 2 * 60);
    /// let next = draws.below(n)?;
    /// draws.seek(position);
    /// assert_eq!(draws.below(n)?, next);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn seek(&mut self, position: u64) {
        self.generator.set_word_pos(position.into());
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Fills `out`; each number is a [`word`](Self::word).
    pub fn fill_words(&mut self, out: &mut [u64]) {
        self.in_blocks::<f64, _>(out, |words, out| out.copy_from_slice(words));
    }

    /// An integer below `n`; all are exactly equally likely.
    ///
    /// # Errors
    /// [`Error::Count`] if `n` is 0; then nothing is drawn.
    pub fn below(&mut self, n: u64) -> Result<u64, Error> {
        check::at_least_one("n", n)?;
        let [number] = draw(n, &mut self.generator);
        Ok(number)
    }

    /// Fills `out`; each number is [`below`](Self::below) `n`.
    ///
    /// # Errors
    /// [`Error::Count`] if `n` is 0; then nothing is drawn or written.
    pub fn fill_below(&mut self, n: u64, out: &mut [u64]) -> Result<(), Error> {
        check::at_least_one("n", n)?;
        // One by one, since a draw that rejects a word takes another.
        out.fill_with(|| draw::<1>(n, &mut self.generator)[0]);
        Ok(())
    }

    /// Uniform in [0, 1): a multiple of 2^-24 (f32) or 2^-53 (f64); all are exactly equally likely.
    pub fn uniform<F: DrawFloat>(&mut self) -> F {
        F::uniform(F::next(&mut self.generator))
    }

    /// Fills `out`; each number is [`uniform`](Self::uniform).
    pub fn fill_uniform<F: DrawFloat>(&mut self, out: &mut [F]) {
        self.in_blocks::<F, _>(out, |words, out| map_words(words, out, F::uniform));
    }

    /// Normal with mean 0 and variance 1.
    pub fn normal<F: DrawFloat>(&mut self) -> F {
        F::normal(F::next(&mut self.generator))
    }

    /// Fills `out`; each number is [`normal`](Self::normal).
    pub fn fill_normal<F: DrawFloat>(&mut self, out: &mut [F]) {
        self.in_blocks::<F, _>(out, F::normals);
    }

    /// True with probability `p`, rounded up to a multiple of 2^-53: never for 0, always for 1.
    ///
    /// # Errors
    /// [`Error::Number`] if `p` is not in 0..=1; then nothing is drawn.
    pub fn coin(&mut self, p: f64) -> Result<bool, Error> {
        check::fraction("p", p)?;
        Ok(self.word() >> 11 < heads(p))
    }

    /// Fills `out`; each element is a [`coin`](Self::coin) of probability `p`.
    ///
    /// # Errors
    /// [`Error::Number`] if `p` is not in 0..=1; then nothing is drawn or written.
    pub fn fill_coin(&mut self, p: f64, out: &mut [bool]) -> Result<(), Error> {
        check::fraction("p", p)?;
        let heads = heads(p);
        self.in_blocks::<f64, _>(out, |words, out| map_words(words, out, |word| word >> 11 < heads));
        Ok(())
    }

    /// Goes through `out` in parts, and calls `take` for each part with its words.
    #[inline(always)]
    fn in_blocks<F: DrawFloat, T>(&mut self, out: &mut [T], take: impl Fn(&[F::Word], &mut [T])) {
        let (size, mut words) = (size_of::<F::Word>(), [F::Word::default(); BLOCK]);
        with_bytes(&mut self.generator, size, out, |bytes, out| {
            let words = &mut words[..out.len()];
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size)) {
                *word = F::read(bytes);
            }
            take(words, out);
        });
    }
}

/// The least m for which m · 2^-53 is not below `p`. The uniform number of a coin is a multiple of 2^-53, so a coin can
/// compare integers, which is faster. `p` · 2^53 is exact, since only the exponent changes, and it grows.
#[inline(always)]
fn heads(p: f64) -> u64 {
    let scaled = p * (1_u64 << 53) as f64;
    let whole = scaled as u64;
    whole + u64::from((whole as f64) < scaled)
}

/// Writes `of(word)` to `out` for each word. All of it is inlined, so that it is compiled for wide vectors.
#[inline(always)]
fn map_words<W: Copy, T>(words: &[W], out: &mut [T], of: impl Fn(W) -> T) {
    wide(
        #[inline(always)]
        || {
            for (x, &word) in out.iter_mut().zip(words) {
                *x = of(word);
            }
        },
    );
}

/// The floats that [`Draws`] can draw: f32 and f64.
pub trait DrawFloat: Sealed {}

impl DrawFloat for f32 {}
impl DrawFloat for f64 {}

/// Not reachable from outside, so that no other type can be a [`DrawFloat`].
pub trait Sealed: Copy {
    /// The random word that a number is made from: u32 or u64.
    type Word: Copy + Default;
    fn next(generator: &mut ChaCha8Rng) -> Self::Word;
    /// The word of these little-endian bytes.
    fn read(bytes: &[u8]) -> Self::Word;
    fn uniform(word: Self::Word) -> Self;
    fn normal(word: Self::Word) -> Self;
    /// Fills `out` with the normal numbers of at most [`BLOCK`] words.
    fn normals(words: &[Self::Word], out: &mut [Self]);
}

impl Sealed for f32 {
    type Word = u32;

    #[inline(always)]
    fn next(generator: &mut ChaCha8Rng) -> u32 {
        generator.next_u32()
    }

    #[inline(always)]
    fn read(bytes: &[u8]) -> u32 {
        u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default())
    }

    #[inline(always)]
    fn uniform(word: u32) -> f32 {
        // 24 bits are as many as an f32 holds exactly.
        (word >> 8) as f32 / (1 << 24) as f32
    }

    #[inline(always)]
    fn normal(word: u32) -> f32 {
        normal32::normal(word)
    }

    #[inline(always)]
    fn normals(words: &[u32], out: &mut [f32]) {
        map_words(words, out, normal32::normal);
    }
}

impl Sealed for f64 {
    type Word = u64;

    #[inline(always)]
    fn next(generator: &mut ChaCha8Rng) -> u64 {
        generator.next_u64()
    }

    #[inline(always)]
    fn read(bytes: &[u8]) -> u64 {
        u64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default())
    }

    #[inline(always)]
    fn uniform(word: u64) -> f64 {
        unit(word)
    }

    #[inline(always)]
    fn normal(word: u64) -> f64 {
        normal64::normal(word)
    }

    #[inline(always)]
    fn normals(words: &[u64], out: &mut [f64]) {
        normal64::normals(words, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uniform_f32_is_the_multiple_of_its_word() {
        for m in 0..1_u32 << 24 {
            let [first, last] = [m << 8, m << 8 | 0xFF].map(f32::uniform);
            assert_eq!([first, last].map(f64::from), [f64::from(m) / (1 << 24) as f64; 2], "{m}");
        }
    }

    #[test]
    fn heads_are_the_uniform_numbers_below_p() {
        let step = 1.0 / (1_u64 << 53) as f64;
        for p in [0.0, -0.0, f64::from_bits(1), step / 2.0, step, 0.25, 0.3, 0.5, 1.0 - step, 1.0] {
            for bits in p.to_bits().saturating_sub(2)..=p.to_bits() + 2 {
                let p = f64::from_bits(bits);
                if !(0.0..=1.0).contains(&p) {
                    continue;
                }
                let heads = heads(p);
                for m in heads.saturating_sub(2)..(heads + 2).min(1 << 53) {
                    assert_eq!(m < heads, unit(m << 11) < p, "{m} for {p:e}");
                }
            }
        }
    }
}
