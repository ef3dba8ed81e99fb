//! Analysis filterbank of MPEG-1 Layer III: 32 bands, each with a transform of 18 lines.
//!
//! ISO/IEC 11172-3:1993, 3-C.1.3 (polyphase filterbank, table 3-C.1) and 3-C.1.5.3 (window of long blocks, MDCT, alias reduction). Where the
//! granules lie as those of an encoder did, the lines are what the encoder quantised, but for the rounding of the samples.

/// Lines per granule, and frames from one granule to the next.
pub(super) const LINES: usize = 576;
/// Frames from one slot to the next.
pub(super) const SLOT: usize = BANDS;
/// Slots from one granule to the next; the lines of one need twice as many.
pub(super) const GRANULE_SLOTS: usize = PER_BAND;
const BANDS: usize = 32;
/// Lines per band.
const PER_BAND: usize = 18;
/// Taps of the polyphase filterbank.
const TAPS: usize = 512;
/// Bands whose lines are computed, up to 17.2 kHz at 44.1 kHz.
const USED: usize = 25;
/// Lines that are computed.
pub(super) const USED_LINES: usize = USED * PER_BAND;

/// First half of the prototype filter, with the tap in the middle: table 3-B.3 (which is 32 times 3-C.1) times 65,536, without the change of
/// sign every 64 taps, which belongs to the cosines.
const PROTOTYPE: [i32; TAPS / 2 + 1] = [
    0, -1, -1, -1, -1, -1, -1, -2, -2, -2, -2, -3, -3, -4, -4, -5, -5, -6, -7, -7, -8, -9, -10, -11, -13, -14, -16,
    -17, -19, -21, -24, -26, -29, -31, -35, -38, -41, -45, -49, -53, -58, -63, -68, -73, -79, -85, -91, -97, -104,
    -111, -117, -125, -132, -139, -147, -154, -161, -169, -176, -183, -190, -196, -202, -208, -213, -218, -222, -225,
    -227, -228, -228, -227, -224, -221, -215, -208, -200, -189, -177, -163, -146, -127, -106, -83, -57, -29, 2, 36, 72,
    111, 153, 197, 244, 294, 347, 401, 459, 519, 581, 645, 711, 779, 848, 919, 991, 1064, 1137, 1210, 1283, 1356, 1428,
    1498, 1567, 1634, 1698, 1759, 1817, 1870, 1919, 1962, 2001, 2032, 2057, 2075, 2085, 2087, 2080, 2063, 2037, 2000,
    1952, 1893, 1822, 1739, 1644, 1535, 1414, 1280, 1131, 970, 794, 605, 402, 185, -45, -288, -545, -814, -1095, -1388,
    -1692, -2006, -2330, -2663, -3004, -3351, -3705, -4063, -4425, -4788, -5153, -5517, -5879, -6237, -6589, -6935,
    -7271, -7597, -7910, -8209, -8491, -8755, -8998, -9219, -9416, -9585, -9727, -9838, -9916, -9959, -9966, -9935,
    -9863, -9750, -9592, -9389, -9139, -8840, -8492, -8092, -7640, -7134, -6574, -5959, -5288, -4561, -3776, -2935,
    -2037, -1082, -70, 998, 2122, 3300, 4533, 5818, 7154, 8540, 9975, 11455, 12980, 14548, 16155, 17799, 19478, 21189,
    22929, 24694, 26482, 28289, 30112, 31947, 33791, 35640, 37489, 39336, 41176, 43006, 44821, 46617, 48390, 50137,
    51853, 53534, 55178, 56778, 58333, 59838, 61289, 62684, 64019, 65290, 66494, 67629, 68692, 69679, 70590, 71420,
    72169, 72835, 73415, 73908, 74313, 74630, 74856, 74992, 75038,
];

/// Outputs of the bands at one slot.
pub(super) type Slot = [f32; BANDS];

/// Tables of the filterbank.
pub(super) struct Hybrid {
    /// Taps, in order of time: the oldest sample first.
    taps: [f32; TAPS],
    cosines: [Slot; BANDS],
    /// Window of a long block.
    window: [f32; 2 * PER_BAND],
    /// DCT-IV.
    transform: [[f32; PER_BAND]; PER_BAND],
    alias: [(f32, f32); 8],
}

impl Hybrid {
    /// Scaled so that white noise has the same power in each line as in each sample.
    pub fn new() -> Self {
        use std::f64::consts::PI;
        let tap = |n: usize| f64::from(PROTOTYPE[n.min(TAPS - n)]) * if (n / 64) % 2 == 1 { -1.0 } else { 1.0 };
        let power: f64 = (0..TAPS).map(|n| tap(n) * tap(n) / 2.0).sum();
        let per_band = PER_BAND as f64;
        Self {
            taps: std::array::from_fn(|n| (tap(n) / power.sqrt()) as f32),
            cosines: std::array::from_fn(|i| {
                std::array::from_fn(|k| ((2 * k + 1) as f64 * i as f64 * PI / 64.0).cos() as f32)
            }),
            window: std::array::from_fn(|n| ((n as f64 + 0.5) * PI / (2.0 * per_band)).sin() as f32),
            transform: std::array::from_fn(|k| {
                std::array::from_fn(|n| {
                    ((2.0 / per_band).sqrt() * (PI / per_band * (n as f64 + 0.5) * (k as f64 + 0.5)).cos()) as f32
                })
            }),
            alias: [-0.6f64, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037].map(|c| {
                let norm = (1.0 + c * c).sqrt();
                ((1.0 / norm) as f32, (c / norm) as f32)
            }),
        }
    }

    /// Slots whose first lies at frame `start`: slot `i` looks at 512 frames from `start + 32 i` on. As many as there are samples for and
    /// `slots` has room for.
    pub fn bands(&self, samples: &[f32], start: usize, slots: &mut [Slot]) {
        for (i, slot) in slots.iter_mut().enumerate() {
            let Some(part) = samples.get(start + 32 * i..start + 32 * i + TAPS) else { return };
            // The newest sample meets the first tap.
            let mut sums = [0.0f32; 64];
            for (part, taps) in part.rchunks_exact(64).zip(self.taps.chunks_exact(64)) {
                for ((sum, x), tap) in sums.iter_mut().zip(part.iter().rev()).zip(taps) {
                    *sum += x * tap;
                }
            }
            // cos((2k + 1) (n - 16) pi / 64) is even around n = 16 and odd around n = 48.
            let mut folded = [0.0f32; BANDS];
            folded[0] = sums[16];
            for i in 1..=16 {
                folded[i] = sums[16 + i] + sums[16 - i];
            }
            for i in 17..BANDS {
                folded[i] = sums[16 + i] - sums[80 - i];
            }
            *slot = [0.0; BANDS];
            for (x, cosines) in folded.iter().zip(&self.cosines) {
                for (band, cosine) in slot.iter_mut().zip(cosines) {
                    *band += x * cosine;
                }
            }
        }
    }

    /// Lines of the granule that begins with the first of 36 `slots`, up to band [`USED`].
    pub fn lines(&self, slots: &[Slot], lines: &mut [f32]) {
        const H: usize = PER_BAND / 2;
        let mut folded = [[0.0f32; BANDS]; PER_BAND];
        let at = |n: usize, band: usize| {
            // Odd bands are upside down: every second slot changes its sign.
            let sign = if n % 2 == 1 && band % 2 == 1 { -1.0 } else { 1.0 };
            slots[n][band] * self.window[n] * sign
        };
        for n in 0..H {
            folded[n] = std::array::from_fn(|band| -at(3 * H - 1 - n, band) - at(3 * H + n, band));
            folded[n + H] = std::array::from_fn(|band| at(n, band) - at(2 * H - 1 - n, band));
        }
        for (k, row) in self.transform.iter().enumerate() {
            let mut sums = [0.0f32; BANDS];
            for (factor, inputs) in row.iter().zip(&folded) {
                for (sum, x) in sums.iter_mut().zip(inputs) {
                    *sum += factor * x;
                }
            }
            for (band, sum) in sums.iter().enumerate().take(USED) {
                lines[band * PER_BAND + k] = *sum;
            }
        }
        for edge in (PER_BAND..USED * PER_BAND).step_by(PER_BAND) {
            for (i, (cs, ca)) in self.alias.iter().enumerate() {
                let (below, above) = (lines[edge - 1 - i], lines[edge + i]);
                lines[edge - 1 - i] = below * cs + above * ca;
                lines[edge + i] = above * cs - below * ca;
            }
        }
    }
}
