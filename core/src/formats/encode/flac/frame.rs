//! One FLAC frame: stereo decorrelation, choice of predictor per channel, and the bytes.
//!
//! Source: RFC 9639 sections 9.1 (frame header), 9.2 (subframes), 9.3 (footer).

use super::super::bits::{BitWriter, crc8, crc16};
use super::lpc::{self, Autocorrelation, Quantised};
use super::rice::{self, RicePlan};

/// What an effort level from 0 to 8 searches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effort {
    pub block: usize,
    pub max_order: usize,
    pub max_partition_order: u32,
    pub stereo: bool,
    /// Partial windows: 1 = the whole block only, 2 and 3 = its halves, thirds and what is left without them as well.
    pub parts: usize,
}

impl Effort {
    /// The reference encoder's presets, as its manual lists them.
    pub fn of_level(level: u8) -> Self {
        let e = |block, max_order, max_partition_order, stereo, parts| Self {
            block,
            max_order,
            max_partition_order,
            stereo,
            parts,
        };
        match level {
            0 => e(1152, 0, 3, false, 1),
            1 | 2 => e(1152, 0, 3, true, 1),
            3 => e(4096, 6, 4, false, 1),
            4 => e(4096, 8, 4, true, 1),
            5 => e(4096, 8, 5, true, 1),
            6 => e(4096, 8, 6, true, 2),
            7 => e(4096, 12, 6, true, 2),
            _ => e(4096, 12, 6, true, 3),
        }
    }
}

/// What is constant through a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamParams {
    pub rate_hz: u32,
    pub channels: usize,
    pub bits: u32,
    pub effort: Effort,
}

/// How one channel is coded.
#[derive(Debug, Clone)]
enum Coding {
    Constant,
    Verbatim,
    Fixed(usize),
    Lpc(Quantised),
}

/// A coded channel: everything but the bits.
#[derive(Debug)]
struct Subframe {
    coding: Coding,
    wasted: u32,
    /// Bits per sample after wasted ones were taken away.
    bits: u32,
    /// Samples that stand as they are: all, one, or those that prediction starts from.
    raw: Vec<i32>,
    block: usize,
    residual: Vec<i32>,
    plan: RicePlan,
    total_bits: u64,
}

/// Encodes frames of one stream; holds windows and scratch memory.
pub(crate) struct FrameEncoder {
    params: StreamParams,
    windows: Vec<Window>,
    windows_for: usize,
    padded: Vec<f32>,
}

impl FrameEncoder {
    pub fn new(params: StreamParams) -> Self {
        Self { params, windows: Vec::new(), windows_for: 0, padded: Vec::new() }
    }

    /// Appends frame `number` with the samples of `channels` (equal lengths, 1 to 65535) to `bytes`.
    pub fn encode(&mut self, number: u64, channels: &[&[i32]], bytes: Vec<u8>) -> Vec<u8> {
        let start = bytes.len();
        let block = channels.first().map_or(0, |c| c.len());
        self.prepare_windows(block);
        let (assignment, subframes) = self.choose_stereo(channels);
        let mut bytes = bytes;
        self.write_header(&mut bytes, number, block, assignment);
        let crc = crc8(&bytes[start..]);
        bytes.push(crc);
        let mut w = BitWriter::new(bytes);
        for s in &subframes {
            write_subframe(&mut w, s);
        }
        let mut bytes = w.finish();
        let crc = crc16(&bytes[start..]);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn write_header(&self, to: &mut Vec<u8>, number: u64, block: usize, assignment: u8) {
        to.extend_from_slice(&[0xFF, 0xF8]); // sync, fixed block size
        let (block_code, block_tail): (u8, &[u8]) = match block {
            192 => (1, &[]),
            576 => (2, &[]),
            1152 => (3, &[]),
            2304 => (4, &[]),
            4608 => (5, &[]),
            256 | 512 | 1024 | 2048 | 4096 | 8192 | 16_384 | 32_768 => (block.trailing_zeros() as u8, &[]),
            1..=256 => (6, &((block - 1) as u16).to_be_bytes()[1..]),
            _ => (7, &((block - 1) as u16).to_be_bytes()),
        };
        let rate = self.params.rate_hz;
        let (rate_code, rate_tail): (u8, Vec<u8>) = match rate {
            88_200 => (1, vec![]),
            176_400 => (2, vec![]),
            192_000 => (3, vec![]),
            8000 => (4, vec![]),
            16_000 => (5, vec![]),
            22_050 => (6, vec![]),
            24_000 => (7, vec![]),
            32_000 => (8, vec![]),
            44_100 => (9, vec![]),
            48_000 => (10, vec![]),
            96_000 => (11, vec![]),
            _ if rate % 1000 == 0 && rate <= 255_000 => (12, vec![(rate / 1000) as u8]),
            _ if rate <= 65_535 => (13, (rate as u16).to_be_bytes().to_vec()),
            _ if rate % 10 == 0 && rate <= 655_350 => (14, ((rate / 10) as u16).to_be_bytes().to_vec()),
            _ => (0, vec![]), // as STREAMINFO says
        };
        let bits_code: u8 = match self.params.bits {
            8 => 1,
            12 => 2,
            16 => 4,
            20 => 5,
            24 => 6,
            32 => 7,
            _ => 0,
        };
        to.push((block_code << 4) | rate_code);
        to.push((assignment << 4) | (bits_code << 1));
        push_coded_number(to, number);
        to.extend_from_slice(block_tail);
        to.extend_from_slice(&rate_tail);
    }

    /// Channel assignment code and the coded channels.
    fn choose_stereo(&mut self, channels: &[&[i32]]) -> (u8, Vec<Subframe>) {
        let bits = self.params.bits;
        let independent = channels.len() as u8 - 1;
        // The side of 32-bit channels needs 33 bits, which i32 cannot hold: left as it is.
        if let ([l, r], true, true) = (channels, self.params.effort.stereo, bits < 32) {
            let mid: Vec<i32> = l.iter().zip(*r).map(|(l, r)| (l + r) >> 1).collect();
            let side: Vec<i32> = l.iter().zip(*r).map(|(l, r)| l - r).collect();
            let [l, r, m, s] = [(*l, bits), (*r, bits), (&mid[..], bits), (&side[..], bits + 1)]
                .map(|(samples, bits)| self.candidate(samples, bits));
            let options = [(independent, &l, &r), (8, &l, &s), (9, &s, &r), (10, &m, &s)];
            let best =
                options.iter().min_by(|a, b| (a.1.estimate + a.2.estimate).total_cmp(&(b.1.estimate + b.2.estimate)));
            if let Some((code, first, second)) = best {
                return (*code, vec![self.subframe(first), self.subframe(second)]);
            }
        }
        let subframes = channels
            .iter()
            .map(|c| {
                let candidate = self.candidate(c, bits);
                self.subframe(&candidate)
            })
            .collect();
        (independent, subframes)
    }

    /// Analyses one channel as far as is needed to compare it with others.
    fn candidate<'a>(&mut self, samples: &'a [i32], bits: u32) -> Candidate<'a> {
        let or = samples.iter().fold(0, |a, s| a | s);
        let wasted = if or == 0 { 0 } else { or.trailing_zeros().min(bits - 1) };
        let shifted: std::borrow::Cow<'a, [i32]> =
            if wasted == 0 { samples.into() } else { samples.iter().map(|s| s >> wasted).collect::<Vec<_>>().into() };
        let bits = bits - wasted;
        let n = samples.len();
        let mut c = Candidate {
            wasted,
            bits,
            fixed_order: 0,
            fixed_estimate: f64::INFINITY,
            lpc: None,
            estimate: 0.0,
            constant: samples.iter().all(|s| *s == samples[0]),
            samples: shifted,
        };
        if c.constant {
            c.estimate = f64::from(bits);
            return c;
        }
        let mut estimate = (n as u64 * u64::from(bits)) as f64; // verbatim
        if n > 8 && bits <= 32 {
            (c.fixed_order, c.fixed_estimate) = best_fixed(&c.samples, bits);
            estimate = estimate.min(c.fixed_estimate);
        }
        let max_order = self.params.effort.max_order.min(n.saturating_sub(1) / 2);
        if max_order > 0 {
            c.lpc = self.best_lpc(&c.samples, bits, max_order);
            if let Some((_, e)) = &c.lpc {
                estimate = estimate.min(*e);
            }
        }
        c.estimate = estimate;
        c
    }

    /// Codes one channel and checks which of its codings is really the smallest.
    fn subframe(&mut self, c: &Candidate<'_>) -> Subframe {
        let mut s = self.choose_coding(c);
        let raw = match &s.coding {
            Coding::Constant => 1,
            Coding::Verbatim => s.block,
            Coding::Fixed(order) => *order,
            Coding::Lpc(q) => q.coefs.len(),
        };
        s.raw = c.samples[..raw].to_vec();
        s
    }

    fn choose_coding(&mut self, c: &Candidate<'_>) -> Subframe {
        let n = c.samples.len();
        let make = |coding, residual, plan: RicePlan, total_bits| Subframe {
            coding,
            wasted: c.wasted,
            bits: c.bits,
            raw: Vec::new(),
            block: n,
            residual,
            plan,
            total_bits,
        };
        if c.constant {
            return make(Coding::Constant, Vec::new(), RicePlan::default(), u64::from(c.bits));
        }
        let verbatim_bits = n as u64 * u64::from(c.bits);
        let mut best = make(Coding::Verbatim, Vec::new(), RicePlan::default(), verbatim_bits);
        let partitions = self.params.effort.max_partition_order;
        if let Some((predictors, estimate)) = &c.lpc {
            let mut residual = Vec::new();
            for q in predictors {
                if lpc::residual(&c.samples, q, c.bits, &mut residual) {
                    let order = q.coefs.len();
                    let plan = rice::plan(&residual, n, order, partitions);
                    let head = order as u64 * u64::from(c.bits + q.precision) + 9;
                    let total = plan.bits + head;
                    if total < best.total_bits {
                        best.coding = Coding::Lpc(q.clone());
                        std::mem::swap(&mut best.residual, &mut residual);
                        best.plan = plan;
                        best.total_bits = total;
                    }
                }
            }
            // The fixed predictors are tried in earnest only where they promise to come close.
            if c.fixed_estimate > estimate * 1.03 {
                return best;
            }
        }
        if c.fixed_estimate.is_finite()
            && let Some(residual) = fixed_residual(&c.samples, c.fixed_order)
        {
            let plan = rice::plan(&residual, n, c.fixed_order, partitions);
            let total = plan.bits + c.fixed_order as u64 * u64::from(c.bits);
            if total < best.total_bits {
                best = make(Coding::Fixed(c.fixed_order), residual, plan, total);
            }
        }
        best
    }

    /// The predictor of each window, quantised, and the bits that the first is expected to need.
    fn best_lpc(&mut self, samples: &[i32], bits: u32, max_order: usize) -> Option<(Vec<Quantised>, f64)> {
        let n = samples.len();
        let precision = coefficient_bits(self.params.bits, n);
        let mut padded = std::mem::take(&mut self.padded);
        let mut found = Vec::with_capacity(self.windows.len());
        let mut estimate = None;
        let mut consider = |r: &Autocorrelation| {
            let Some(p) = lpc::levinson(r, max_order) else { return };
            let cost = |order: usize| {
                lpc::expected_bits(p.error[order - 1], n) * (n - order) as f64
                    + (order as u32 * (precision + bits)) as f64
            };
            let best = (1..=p.orders).map(|o| (cost(o), o)).min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((bits, order)) = best else { return };
            if let Some(q) = lpc::quantise(&p.coefs[order - 1][..order], precision) {
                estimate.get_or_insert(bits + n as f64);
                found.push(q);
            }
        };
        let mut whole = None;
        for window in &self.windows {
            let part = &samples[window.start..window.start + window.shape.len()];
            lpc::apply_window(part, &window.shape, &mut padded);
            let r = lpc::autocorrelation(&padded, max_order);
            consider(&r);
            match whole {
                None => whole = Some(r),
                Some(w) if window.rest_too => consider(&std::array::from_fn(|i| w[i] - r[i])),
                Some(_) => {}
            }
        }
        self.padded = padded;
        Some((found, estimate?))
    }

    /// The whole block, and with more effort its halves and thirds (and the block without each third), as the reference
    /// encoder's `subdivide_tukey` has them.
    fn prepare_windows(&mut self, block: usize) {
        if self.windows_for == block && !self.windows.is_empty() {
            return;
        }
        self.windows_for = block;
        let parts = if block < 64 { 1 } else { self.params.effort.parts };
        let flank = 0.5 / parts as f64 * block as f64;
        self.windows.clear();
        for b in 1..=parts {
            for i in 0..b {
                let (start, end) = (i * block / b, (i + 1) * block / b);
                let shape = lpc::tukey(end - start, flank / (end - start) as f64);
                self.windows.push(Window { start, shape, rest_too: b > 2 });
            }
        }
    }
}

/// A window over a part of the block.
struct Window {
    start: usize,
    shape: Vec<f32>,
    /// True when what lies outside is to be tried as well.
    rest_too: bool,
}

struct Candidate<'a> {
    samples: std::borrow::Cow<'a, [i32]>,
    wasted: u32,
    bits: u32,
    constant: bool,
    fixed_order: usize,
    fixed_estimate: f64,
    lpc: Option<(Vec<Quantised>, f64)>,
    estimate: f64,
}

/// Bits of a quantised coefficient, as the reference encoder chooses them.
fn coefficient_bits(bits: u32, block: usize) -> u32 {
    match (bits, block) {
        (0..16, _) => (2 + bits / 2).max(5),
        (16, 0..=192) => 7,
        (16, ..=384) => 8,
        (16, ..=576) => 9,
        (16, ..=1152) => 10,
        (16, ..=2304) => 11,
        (16, ..=4608) => 12,
        (16, _) => 13,
        (_, 0..=384) => 13,
        (_, ..=1152) => 14,
        _ => 15,
    }
}

/// Order 0 to 4 whose residual is smallest, and the bits it is expected to need.
fn best_fixed(x: &[i32], bits: u32) -> (usize, f64) {
    let n = x.len() - 4;
    let mut sums = [0_u64; 5];
    for run in 0..n.div_ceil(512) {
        let mut s = [0_u64; 5];
        for i in (4 + run * 512)..(4 + n).min(4 + (run + 1) * 512) {
            let (x0, x1, x2, x3, x4) =
                (i64::from(x[i]), i64::from(x[i - 1]), i64::from(x[i - 2]), i64::from(x[i - 3]), i64::from(x[i - 4]));
            s[0] += x0.unsigned_abs();
            s[1] += (x0 - x1).unsigned_abs();
            s[2] += (x0 - 2 * x1 + x2).unsigned_abs();
            s[3] += (x0 - 3 * x1 + 3 * x2 - x3).unsigned_abs();
            s[4] += (x0 - 4 * x1 + 6 * x2 - 4 * x3 + x4).unsigned_abs();
        }
        for (a, b) in sums.iter_mut().zip(s) {
            *a += b;
        }
    }
    let (order, sum) = sums.iter().enumerate().min_by_key(|(_, s)| **s).map_or((0, 0), |(o, s)| (o, *s));
    // Laplacian: bits = log2(2 e mean |r|) with Rice's small loss; ln 2 * mean is the reference encoder's rule.
    let mean = sum as f64 / n as f64;
    let per_sample = if mean > 0.0 { (std::f64::consts::LN_2 * mean).log2().max(0.0) } else { 0.0 };
    (order, (per_sample + 1.0) * x.len() as f64 + (order as u32 * bits) as f64)
}

/// Residual of fixed predictor `order`; `None` when it leaves 32 bits.
fn fixed_residual(x: &[i32], order: usize) -> Option<Vec<i32>> {
    let at = |i: usize| i64::from(x[i]);
    let mut beyond = 0_i64;
    let residual = (order..x.len())
        .map(|i| {
            let r = match order {
                0 => at(i),
                1 => at(i) - at(i - 1),
                2 => at(i) - 2 * at(i - 1) + at(i - 2),
                3 => at(i) - 3 * at(i - 1) + 3 * at(i - 2) - at(i - 3),
                _ => at(i) - 4 * at(i - 1) + 6 * at(i - 2) - 4 * at(i - 3) + at(i - 4),
            };
            beyond |= (r ^ i64::from(r as i32)) | i64::from(r == i64::from(i32::MIN));
            r as i32
        })
        .collect();
    (beyond == 0).then_some(residual)
}

fn write_subframe(w: &mut BitWriter, s: &Subframe) {
    let kind = match &s.coding {
        Coding::Constant => 0,
        Coding::Verbatim => 1,
        Coding::Fixed(order) => 8 + *order as u32,
        Coding::Lpc(q) => 31 + q.coefs.len() as u32,
    };
    w.put(kind << 1 | u32::from(s.wasted > 0), 8);
    if s.wasted > 0 {
        w.put_unary(s.wasted - 1);
    }
    for sample in &s.raw {
        w.put_signed(i64::from(*sample), s.bits);
    }
    if let Coding::Lpc(q) = &s.coding {
        w.put(q.precision - 1, 4);
        w.put(q.shift, 5);
        for c in &q.coefs {
            w.put_signed(i64::from(*c), q.precision);
        }
    }
    if matches!(s.coding, Coding::Fixed(_) | Coding::Lpc(_)) {
        rice::write(w, &s.plan, &s.residual, s.block, s.raw.len());
    }
}

/// Frame number in the extended UTF-8 of RFC 9639 section 9.1.5 (up to 36 bits).
fn push_coded_number(to: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        to.push(number as u8);
        return;
    }
    let mut tail = 1;
    while tail < 6 && number >> (6 * tail + (6 - tail)) != 0 {
        tail += 1;
    }
    let lead = (0xFF00_u32 >> (tail + 1)) as u8;
    to.push(lead | (number >> (6 * tail)) as u8);
    for i in (0..tail).rev() {
        to.push(0x80 | ((number >> (6 * i)) & 0x3F) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_code_as_utf8_up_to_its_end() {
        for n in [0_u64, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000, 0x10_FFFF] {
            let mut got = Vec::new();
            push_coded_number(&mut got, n);
            if let Some(c) = char::from_u32(n as u32) {
                assert_eq!(got, c.to_string().as_bytes(), "{n:X}");
            }
        }
        let mut got = Vec::new();
        push_coded_number(&mut got, (1 << 36) - 1);
        assert_eq!(got, [0xFE, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]);
        got.clear();
        push_coded_number(&mut got, 0x3FF_FFFF);
        assert_eq!(got, [0xFB, 0xBF, 0xBF, 0xBF, 0xBF]);
    }

    #[test]
    fn fixed_residuals_are_differences() {
        let x = [1, 4, 9, 16, 25, 36];
        assert_eq!(fixed_residual(&x, 2).unwrap(), [2, 2, 2, 2]);
        assert_eq!(fixed_residual(&x, 3).unwrap(), [0, 0, 0]);
        assert_eq!(fixed_residual(&[i32::MAX, i32::MIN, i32::MAX], 1), None);
    }
}
