"""Types of options and records, made from the library's JSON Schemas by tools/generate_types.py: do not edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict


class Limits(TypedDict, total=False):
    """Upper bounds while reading one input. What is not said is that of the engine's configuration, or else the
    default.
    """

    #: Largest input, in bytes. Default 64 GiB.
    max_bytes: int | None

    #: Longest audio, in seconds. Default 100 h.
    max_seconds: float | None

    #: Most channels. Default 64.
    max_channels: int | None

    #: Highest sample rate, in Hz. Default 768 kHz.
    max_rate_hz: int | None

    #: Largest single allocation that a header may cause (tables, pictures, packets), in bytes. Default 128 MiB.
    max_alloc_bytes: int | None

    #: Longest wall time for reading one input, in seconds; 0 is unlimited. Default 0.
    max_wall_seconds: float | None


class ReadOptions(TypedDict, total=False):
    """How to read an input."""

    #: Upper bounds.
    limits: Limits

    #: Fail at the first damage instead of decoding around it. Default false.
    strict: bool

    #: Which audio track of a file with several, from 0. Default: the container's default track.
    track: int | None


class Trim(TypedDict, total=False):
    """Part of the input."""

    #: Start in seconds, from the beginning. Default 0.
    start_s: float

    #: End in seconds, from the beginning. Default: the end.
    end_s: float | None


#: What a curve does between its points.
CurveShape = Literal['linear', 'hold']


class CurvePoints(TypedDict):
    """CurvePoints"""

    points: list[list[float]]

    shape: NotRequired[CurveShape]

    #: Time over which a jump is spread, in ms.
    smooth_ms: NotRequired[float]


#: Values over time: a list of [time in seconds, value], times rising, or an object.
Curve = (
    list[list[float]]
    | CurvePoints
)


class DcBlockerFilter(TypedDict):
    """Removes a constant offset from each channel."""

    type: Literal['dc_blocker']

    #: Frequency of -3 dB.
    #: 1.0 to 100.0 Hz, default 10.0.
    cutoff_hz: NotRequired[float | Curve]


class HighpassFilter(TypedDict):
    """Removes what lies below a frequency: Butterworth, 6 dB per octave and order."""

    type: Literal['highpass']

    #: Frequency of -3 dB.
    #: 5.0 to 90000.0 Hz, default 80.0.
    cutoff_hz: NotRequired[float | Curve]

    #: Order; each gives 6 dB per octave.
    #: 1 to 12 , default 2.
    order: NotRequired[int]


class LowpassFilter(TypedDict):
    """Removes what lies above a frequency: Butterworth, 6 dB per octave and order."""

    type: Literal['lowpass']

    #: Frequency of -3 dB.
    #: 10.0 to 90000.0 Hz, default 16000.0.
    cutoff_hz: NotRequired[float | Curve]

    #: Order; each gives 6 dB per octave.
    #: 1 to 12 , default 2.
    order: NotRequired[int]


class BandpassFilter(TypedDict):
    """Keeps a band around a frequency; 0 dB at the centre, 6 dB per octave on each side."""

    type: Literal['bandpass']

    #: Centre.
    #: 10.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float | Curve]

    #: Quality: centre divided by the width between -3 dB.
    #: 0.05 to 50.0 , default 0.71.
    q: NotRequired[float | Curve]


class LowShelfFilter(TypedDict):
    """Raises or lowers what lies below a frequency."""

    type: Literal['low_shelf']

    #: Frequency of half the gain in dB.
    #: 10.0 to 90000.0 Hz, default 120.0.
    frequency_hz: NotRequired[float | Curve]

    #: Gain of the shelf.
    #: -40.0 to 40.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Quality; 0.71 is the steepest without overshoot.
    #: 0.1 to 2.0 , default 0.71.
    q: NotRequired[float | Curve]


class HighShelfFilter(TypedDict):
    """Raises or lowers what lies above a frequency."""

    type: Literal['high_shelf']

    #: Frequency of half the gain in dB.
    #: 10.0 to 90000.0 Hz, default 8000.0.
    frequency_hz: NotRequired[float | Curve]

    #: Gain of the shelf.
    #: -40.0 to 40.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Quality; 0.71 is the steepest without overshoot.
    #: 0.1 to 2.0 , default 0.71.
    q: NotRequired[float | Curve]


class PeakEqFilter(TypedDict):
    """Raises or lowers a band around a frequency."""

    type: Literal['peak_eq']

    #: Centre.
    #: 10.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float | Curve]

    #: Gain at the centre.
    #: -40.0 to 40.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Quality: centre divided by bandwidth.
    #: 0.05 to 50.0 , default 1.0.
    q: NotRequired[float | Curve]


class TiltEqFilter(TypedDict):
    """Tilts the spectrum around a frequency: highs up and lows down by the same dB, or the reverse."""

    type: Literal['tilt_eq']

    #: Frequency that keeps its level.
    #: 50.0 to 20000.0 Hz, default 700.0.
    pivot_hz: NotRequired[float | Curve]

    #: Gain far above the pivot; far below it is the negative.
    #: -12.0 to 12.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]


class FilterType(TypedDict):
    """Removes a narrow band, such as mains hum. Recipes may also call it `bandreject`."""

    type: Literal['notch', 'bandreject']

    #: Centre, where nothing passes.
    #: 10.0 to 90000.0 Hz, default 50.0.
    frequency_hz: NotRequired[float | Curve]

    #: Quality: centre divided by the width between -3 dB.
    #: 0.1 to 200.0 , default 30.0.
    q: NotRequired[float | Curve]

    #: Number of notches: 1 for the frequency alone, 4 with its harmonics 2 to 4.
    #: 1 to 16 , default 1.
    harmonics: NotRequired[int]


class AllpassFilter(TypedDict):
    """Turns the phase around a frequency and leaves all gains; makes lopsided speech waveforms symmetric."""

    type: Literal['allpass']

    #: Where the phase is turned by 180 degrees.
    #: 10.0 to 90000.0 Hz, default 200.0.
    frequency_hz: NotRequired[float | Curve]

    #: Quality: how narrow the turn is.
    #: 0.05 to 50.0 , default 0.71.
    q: NotRequired[float | Curve]

    #: Number of equal sections.
    #: 1 to 8 , default 2.
    stages: NotRequired[int]


#: What passes.
BandKind = Literal['lowpass', 'highpass', 'bandpass', 'bandstop']


class ButterworthFilter(TypedDict):
    """Low-pass, high-pass, band-pass or band-stop without ripples: Butterworth."""

    type: Literal['butterworth']

    #: What passes.
    kind: NotRequired[BandKind]

    #: Edge of a low-pass or high-pass: -3 dB.
    #: 5.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float]

    #: Lower edge of a band.
    #: 5.0 to 90000.0 Hz, default 300.0.
    low_hz: NotRequired[float]

    #: Upper edge of a band.
    #: 5.0 to 90000.0 Hz, default 3400.0.
    high_hz: NotRequired[float]

    #: Order of the low-pass it is made from; a band filter has this slope on each side.
    #: 1 to 12 , default 4.
    order: NotRequired[int]


class Chebyshev1Filter(TypedDict):
    """Low-pass, high-pass, band-pass or band-stop, steeper than Butterworth, with ripples where it passes: Chebyshev
    I.
    """

    type: Literal['chebyshev1']

    #: What passes.
    kind: NotRequired[BandKind]

    #: Edge of a low-pass or high-pass: the last point within the ripple.
    #: 5.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float]

    #: Lower edge of a band.
    #: 5.0 to 90000.0 Hz, default 300.0.
    low_hz: NotRequired[float]

    #: Upper edge of a band.
    #: 5.0 to 90000.0 Hz, default 3400.0.
    high_hz: NotRequired[float]

    #: Order of the low-pass it is made from; a band filter has this slope on each side.
    #: 1 to 12 , default 4.
    order: NotRequired[int]

    #: Most loss where it passes, and the gain at the edges.
    #: 0.01 to 6.0 dB, default 0.5.
    ripple_db: NotRequired[float]


class Chebyshev2Filter(TypedDict):
    """Low-pass, high-pass, band-pass or band-stop, flat where it passes, with ripples where it stops: Chebyshev II."""

    type: Literal['chebyshev2']

    #: What passes.
    kind: NotRequired[BandKind]

    #: Edge of a low-pass or high-pass: where it begins to stop.
    #: 5.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float]

    #: Lower edge of a band.
    #: 5.0 to 90000.0 Hz, default 300.0.
    low_hz: NotRequired[float]

    #: Upper edge of a band.
    #: 5.0 to 90000.0 Hz, default 3400.0.
    high_hz: NotRequired[float]

    #: Order of the low-pass it is made from; a band filter has this slope on each side.
    #: 1 to 12 , default 4.
    order: NotRequired[int]

    #: Least loss where it stops, and the loss at the edges.
    #: 10.0 to 120.0 dB, default 60.0.
    attenuation_db: NotRequired[float]


class BesselFilter(TypedDict):
    """Low-pass, high-pass, band-pass or band-stop that keeps wave forms, with gentle slopes: Bessel."""

    type: Literal['bessel']

    #: What passes.
    kind: NotRequired[BandKind]

    #: Edge of a low-pass or high-pass: -3 dB.
    #: 5.0 to 90000.0 Hz, default 1000.0.
    frequency_hz: NotRequired[float]

    #: Lower edge of a band.
    #: 5.0 to 90000.0 Hz, default 300.0.
    low_hz: NotRequired[float]

    #: Upper edge of a band.
    #: 5.0 to 90000.0 Hz, default 3400.0.
    high_hz: NotRequired[float]

    #: Order of the low-pass it is made from; a band filter has this slope on each side.
    #: 1 to 12 , default 4.
    order: NotRequired[int]


#: Shape of a band.
EqBandKind = Literal['peak', 'low_shelf', 'high_shelf', 'lowpass', 'highpass', 'bandpass', 'notch', 'allpass']


class EqBand(TypedDict, total=False):
    """One band of a `ParametricEqParams`."""

    #: Shape. Default: `peak`.
    type: EqBandKind

    #: Centre or corner. 5 to 90000 Hz, default 1000.
    frequency_hz: float

    #: Gain of a peak or shelf. -40 to 40 dB, default 0.
    gain_db: float

    #: Quality: centre divided by bandwidth; for shelves and passes 0.71 is the steepest without overshoot. 0.05 to 50,
    #: default 0.71.
    q: float


class ParametricEqFilter(TypedDict):
    """Equaliser of up to 64 bands, each a bell, shelf, pass or notch."""

    type: Literal['parametric_eq']

    #: The bands: objects with `type`, `frequency_hz`, `gain_db` and `q`. None changes nothing.
    bands: NotRequired[list[EqBand]]


#: Number of bands.
GraphicBands = Literal['octave', 'third_octave']


#: Gains of the sliders.
SliderGains = list[float]


class GraphicEqFilter(TypedDict):
    """Equaliser with a slider for each band of 10 or 31; the response passes through all sliders."""

    type: Literal['graphic_eq']

    #: Number of bands.
    bands: NotRequired[GraphicBands]

    #: Gains in dB from -20 to 20, the lowest band first; those that are not given are 0. Bands above the Nyquist
    #: frequency are left out.
    gains_db: NotRequired[SliderGains]


class GainFilter(TypedDict):
    """Multiplies the signal by a fixed factor."""

    type: Literal['gain']

    #: Gain; 0 leaves the samples bit for bit.
    #: -120.0 to 60.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Inverts the polarity.
    invert: NotRequired[bool]


#: How a level is measured.
Detector = Literal['rms', 'peak']


class CompressorFilter(TypedDict):
    """Lowers what is louder than a threshold, so that loud and quiet come closer."""

    type: Literal['compressor']

    #: Level above which gain is reduced.
    #: -80.0 to 0.0 dBFS, default -20.0.
    threshold_dbfs: NotRequired[float | Curve]

    #: Input over output change above the threshold: 4 means 4:1.
    #: 1.0 to 100.0 , default 3.0.
    ratio: NotRequired[float | Curve]

    #: Width of the soft transition around the threshold.
    #: 0.0 to 36.0 dB, default 6.0.
    knee_db: NotRequired[float | Curve]

    #: Time to cover 63 % of a reduction.
    #: 0.05 to 500.0 ms, default 10.0.
    attack_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of a recovery.
    #: 1.0 to 5000.0 ms, default 150.0.
    release_ms: NotRequired[float | Curve]

    #: Gain after compression.
    #: -24.0 to 36.0 dB, default 0.0.
    makeup_db: NotRequired[float | Curve]

    #: How the level is measured.
    detector: NotRequired[Detector]

    #: Time constant of the RMS detector.
    #: 0.5 to 500.0 ms, default 10.0.
    rms_ms: NotRequired[float | Curve]

    #: How much earlier the level is known than the sound is heard; adds as much latency.
    #: 0.0 to 50.0 ms, default 0.0.
    lookahead_ms: NotRequired[float]

    #: One gain for all channels, which keeps the stereo image; otherwise one for each.
    link: NotRequired[bool]

    #: Share of the compressed sound; the rest is the input (parallel compression).
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]

    #: How far the gains of linked channels are one: at 50 a channel gets half of its own reduction and half of the
    #: common one, in dB. Without effect when `link` is false.
    #: 0.0 to 100.0 %, default 100.0.
    link_percent: NotRequired[float | Curve]

    #: Adds gain so that full scale loses half of its reduction: half of what the curve takes from 0 dBFS.
    auto_makeup: NotRequired[bool]

    #: High-pass in front of the detector (12 dB per octave), so that bass does not pump the rest; 0 is none.
    #: 0.0 to 2000.0 Hz, default 0.0.
    sidechain_highpass_hz: NotRequired[float | Curve]


class LimiterFilter(TypedDict):
    """Keeps the true peak under a ceiling; a bit-exact delay for what is under it."""

    type: Literal['limiter']

    #: Highest true peak of the output.
    #: -40.0 to 0.0 dBTP, default -1.0.
    ceiling_dbtp: NotRequired[float | Curve]

    #: How early the gain begins to fall: longer is smoother. Sets the latency.
    #: 0.5 to 20.0 ms, default 2.0.
    lookahead_ms: NotRequired[float]

    #: Time constant of the recovery.
    #: 5.0 to 2000.0 ms, default 80.0.
    release_ms: NotRequired[float | Curve]


class GateFilter(TypedDict):
    """Turns the sound down while it stays under a threshold."""

    type: Literal['gate']

    #: Peak level that opens the gate.
    #: -100.0 to 0.0 dBFS, default -50.0.
    threshold_dbfs: NotRequired[float | Curve]

    #: How far under the threshold the level must fall before the gate closes.
    #: 0.0 to 24.0 dB, default 4.0.
    hysteresis_db: NotRequired[float | Curve]

    #: Reduction of the closed gate.
    #: 0.0 to 120.0 dB, default 40.0.
    range_db: NotRequired[float | Curve]

    #: Time to cover 63 % of the opening.
    #: 0.05 to 500.0 ms, default 1.0.
    attack_ms: NotRequired[float | Curve]

    #: How long the gate stays open after the last sound above the lower threshold.
    #: 1.0 to 5000.0 ms, default 80.0.
    hold_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of the closing.
    #: 1.0 to 5000.0 ms, default 150.0.
    release_ms: NotRequired[float | Curve]

    #: How much earlier the gate opens than the sound comes; adds as much latency.
    #: 0.0 to 50.0 ms, default 2.0.
    lookahead_ms: NotRequired[float]

    #: High-pass in front of the detector (12 dB per octave), so that rumble does not open the gate; 0 is none.
    #: 0.0 to 2000.0 Hz, default 0.0.
    sidechain_highpass_hz: NotRequired[float | Curve]


#: What happens to quiet sound.
ExpanderMode = Literal['downward', 'upward']


class ExpanderFilter(TypedDict):
    """Lowers what is quieter than a threshold, the quieter the more: room and breath go down without a gate's steps.
    Or
    raises it, down to a floor.
    """

    type: Literal['expander']

    #: Level under which gain is changed.
    #: -100.0 to 0.0 dBFS, default -45.0.
    threshold_dbfs: NotRequired[float | Curve]

    #: Downward, output over input change under the threshold: 2 means 1 dB less in gives 2 dB less out. Upward, input
    #: over output change: 2 means 2 dB less in gives 1 dB less out.
    #: 1.0 to 20.0 , default 2.0.
    ratio: NotRequired[float | Curve]

    #: Width of the soft transition around the threshold.
    #: 0.0 to 36.0 dB, default 10.0.
    knee_db: NotRequired[float | Curve]

    #: Most change of gain.
    #: 0.0 to 80.0 dB, default 12.0.
    range_db: NotRequired[float | Curve]

    #: Time to cover 63 % of the way when the sound gets louder.
    #: 0.05 to 500.0 ms, default 3.0.
    attack_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of the way when the sound gets quieter.
    #: 1.0 to 5000.0 ms, default 200.0.
    release_ms: NotRequired[float | Curve]

    #: Time constant of the RMS detector.
    #: 0.5 to 500.0 ms, default 10.0.
    rms_ms: NotRequired[float | Curve]

    #: What happens to quiet sound.
    mode: NotRequired[ExpanderMode]

    #: Upward only: under this level the gain falls again, 1 dB per dB, so that noise in pauses is not raised.
    #: -120.0 to 0.0 dBFS, default -60.0.
    floor_dbfs: NotRequired[float | Curve]

    #: How the level is measured.
    detector: NotRequired[Detector]

    #: High-pass in front of the detector (12 dB per octave); 0 is none.
    #: 0.0 to 2000.0 Hz, default 0.0.
    sidechain_highpass_hz: NotRequired[float | Curve]


class DeEsserFilter(TypedDict):
    """Tames sharp S sounds: lowers the high band while it stands out from the voice."""

    type: Literal['de_esser']

    #: Lower end of the band that is lowered.
    #: 1500.0 to 16000.0 Hz, default 5500.0.
    frequency_hz: NotRequired[float | Curve]

    #: Level of the band, relative to the average level of the voice, above which it is lowered.
    #: -50.0 to 12.0 dB, default -14.0.
    threshold_db: NotRequired[float | Curve]

    #: Input over output change of the band above the threshold.
    #: 1.0 to 20.0 , default 3.0.
    ratio: NotRequired[float | Curve]

    #: Most reduction of the band.
    #: 0.0 to 30.0 dB, default 9.0.
    range_db: NotRequired[float | Curve]

    #: Time to cover 63 % of a reduction.
    #: 0.05 to 50.0 ms, default 1.0.
    attack_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of a recovery.
    #: 1.0 to 1000.0 ms, default 40.0.
    release_ms: NotRequired[float | Curve]


class LevelerFilter(TypedDict):
    """Brings quiet and loud speakers to the same loudness with a slow, gated gain."""

    type: Literal['leveler']

    #: Short-term loudness that speech is brought to.
    #: -40.0 to -6.0 LUFS, default -18.0.
    target_lufs: NotRequired[float | Curve]

    #: Most gain.
    #: 0.0 to 30.0 dB, default 12.0.
    max_boost_db: NotRequired[float | Curve]

    #: Most reduction.
    #: 0.0 to 30.0 dB, default 12.0.
    max_cut_db: NotRequired[float | Curve]

    #: Speed of a rising gain; it falls twice as fast.
    #: 0.1 to 60.0 dB/s, default 5.0.
    speed_db_per_s: NotRequired[float | Curve]

    #: How much sound the loudness is taken over.
    #: 300.0 to 10000.0 ms, default 2500.0.
    window_ms: NotRequired[float]

    #: Loudness under which the gain stays as it is.
    #: -70.0 to -20.0 LUFS, default -50.0.
    gate_lufs: NotRequired[float | Curve]

    #: How much earlier the loudness is known than the sound is heard; adds as much latency.
    #: 0.0 to 3000.0 ms, default 1000.0.
    lookahead_ms: NotRequired[float]


class DenoiseSpectralFilter(TypedDict):
    """Lowers steady noise (hiss, hum, fans, room tone) and leaves speech and music."""

    type: Literal['denoise_spectral']

    #: Most reduction of noise; 0 changes nothing. Beyond 20 speech loses its breath.
    #: 0.0 to 60.0 dB, default 12.0.
    reduction_db: NotRequired[float | Curve]

    #: Raises or lowers the estimate of the noise before it is used: more takes away more, speech included.
    #: -12.0 to 12.0 dB, default 0.0.
    sensitivity_db: NotRequired[float | Curve]

    #: Time constant by which the estimate of the noise follows its changes.
    #: 20.0 to 5000.0 ms, default 100.0.
    adaptation_ms: NotRequired[float | Curve]


class DenoiseRnnFilter(TypedDict):
    """Removes all that is not speech, changing noise included; for voice, not for music. For files: its transforms
    allocate.
    """

    type: Literal['denoise_rnn']

    #: Share of the cleaned sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float]


class StereoFilter(TypedDict):
    """Balance between left and right, and width of the stereo image."""

    type: Literal['stereo']

    #: -100 is left only, 100 right only; the other side is lowered, none is raised.
    #: -100.0 to 100.0 %, default 0.0.
    balance_percent: NotRequired[float]

    #: Gain of the difference of left and right: 0 is mono, 100 unchanged.
    #: 0.0 to 200.0 %, default 100.0.
    width_percent: NotRequired[float]


#: Channel layout: mono, stereo, 2.1, 3.0, quad, 4.0, 5.0, 5.1, 5.1(side), 6.1, 7.1, or a channel count.
ChannelLayout = str


#: What becomes of the low-frequency channel when the target has none.
LfePolicy = Literal['drop', 'mix']


class ChannelMixFilter(TypedDict):
    """Changes the channel layout: mono, stereo, surround, or any matrix."""

    type: Literal['channel_mix']

    #: Layout of the output.
    to: NotRequired[ChannelLayout]

    #: What becomes of the low-frequency channel.
    lfe: NotRequired[LfePolicy]

    #: Lowers all coefficients together so that no output can exceed full scale when no input does.
    normalise: NotRequired[bool]

    #: Own coefficients: one row per output channel, one column per input channel; empty for the standard ones.
    matrix: NotRequired[list[list[float]]]


#: How steep and clean the conversion is.
ResampleQuality = Literal['good', 'fast', 'best']


class ResampleFilter(TypedDict):
    """Converts to another sample rate."""

    type: Literal['resample']

    #: Rate of the output.
    #: 1000 to 768000 Hz, default 48000.
    rate_hz: NotRequired[int]

    #: How steep and clean the conversion is.
    quality: NotRequired[ResampleQuality]


#: Course of a fade; `t` runs from 0 to 1.
FadeShape = Literal['s_curve', 'linear', 'equal_power', 'exponential', 'logarithmic', 'quadratic']


class FadeFilter(TypedDict):
    """Fades the beginning in and the end out. For files: the end is held back."""

    type: Literal['fade']

    #: Length of the fade at the beginning.
    #: 0.0 to 60000.0 ms, default 0.0.
    in_ms: NotRequired[float]

    #: Length of the fade at the end.
    #: 0.0 to 60000.0 ms, default 0.0.
    out_ms: NotRequired[float]

    #: Course of both.
    shape: NotRequired[FadeShape]


class TrimSilenceFilter(TypedDict):
    """Removes silence at the beginning and the end; pauses within stay as they are. For files."""

    type: Literal['trim_silence']

    #: Peak level under which all channels count as silent.
    #: -120.0 to 0.0 dBFS, default -50.0.
    threshold_dbfs: NotRequired[float]

    #: Silence that is kept before the first and after the last sound.
    #: 0.0 to 10000.0 ms, default 150.0.
    padding_ms: NotRequired[float]

    #: Shortest sound that counts: shorter clicks are silence.
    #: 0.0 to 1000.0 ms, default 5.0.
    min_sound_ms: NotRequired[float]

    #: Trims the beginning.
    start: NotRequired[bool]

    #: Trims the end.
    end: NotRequired[bool]


class ParallelBranch(TypedDict, total=False):
    """One branch of `ParallelParams`."""

    #: Filters in series; none passes the input.
    filters: list[Filter]

    #: Gain of the branch in dB. -120 to 60, default 0.
    gain_db: float

    #: Inverts the polarity of the branch. Default false.
    invert: bool


class ParallelFilter(TypedDict):
    """Runs branches of filters side by side on the same input and adds them up; the faster ones wait for the
    slowest.
    """

    type: Literal['parallel']

    #: The branches, 1 to 32: each a list of `filters`, with `gain_db` and `invert`.
    branches: NotRequired[list[ParallelBranch]]

    #: Gain of the sum of the branches.
    #: -120.0 to 60.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Share of the sum; the rest is the input, delayed as the branches are.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class MidSideFilter(TypedDict):
    """Runs filters on the sum and on the difference of left and right; the faster side waits for the slower."""

    type: Literal['mid_side']

    #: Filters for the middle, `(left + right) / 2`.
    mid: NotRequired[list[Filter]]

    #: Filters for the sides, `(left - right) / 2`.
    side: NotRequired[list[Filter]]


class ChannelGroup(TypedDict, total=False):
    """One group of `ChannelsParams`."""

    #: Numbers of the channels, from 1. They go through the filters together, in this order.
    channels: list[int]

    #: Filters in series.
    filters: list[Filter]


class ChannelsFilter(TypedDict):
    """Runs different filters on chosen channels; the others pass, and all stay in time with each other."""

    type: Literal['channels']

    #: Groups: each with the numbers of its `channels`, from 1, and a list of `filters`. No channel is in two.
    groups: NotRequired[list[ChannelGroup]]


class SidechainFilter(TypedDict):
    """Runs filters whose detectors listen to a key: chosen channels of the input, with filters of their own."""

    type: Literal['sidechain']

    #: Numbers of the channels that make the key, from 1; none for all.
    key_channels: NotRequired[list[int]]

    #: Filters for the key alone, such as a high-pass against the kick drum.
    key: NotRequired[list[Filter]]

    #: Numbers of the channels that are processed, from 1; none for all.
    channels: NotRequired[list[int]]

    #: What is run: compressor, gate, ducker, ... Filters without a detector work as ever.
    filters: NotRequired[list[Filter]]


#: Course of a modulation.
LfoShape = Literal['sine', 'triangle']


class TremoloFilter(TypedDict):
    """Makes the level swing. With a phase between the channels it swings between them (auto-pan)."""

    type: Literal['tremolo']

    #: Swings per second.
    #: 0.01 to 40.0 Hz, default 5.0.
    freq_hz: NotRequired[float | Curve]

    #: How far the level falls at its lowest: 100 is down to silence. The highest is the input's level.
    #: 0.0 to 100.0 %, default 50.0.
    depth_percent: NotRequired[float | Curve]

    #: Course of the swing.
    shape: NotRequired[LfoShape]

    #: How far each channel is ahead of the one before it; 180 swings between left and right.
    #: 0.0 to 360.0 deg, default 0.0.
    spread_deg: NotRequired[float | Curve]


class RingModFilter(TypedDict):
    """Multiplies the sound by a sine: each partial becomes two, one above and one below. Robots and bells."""

    type: Literal['ring_mod']

    #: Frequency of the sine.
    #: 0.1 to 20000.0 Hz, default 440.0.
    freq_hz: NotRequired[float | Curve]

    #: Share of the modulated sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class VibratoFilter(TypedDict):
    """Makes the pitch swing, by a delay that swings."""

    type: Literal['vibrato']

    #: Swings per second.
    #: 0.1 to 20.0 Hz, default 5.5.
    freq_hz: NotRequired[float | Curve]

    #: How far the pitch swings to each side at most, in hundredths of a semitone.
    #: 0.0 to 200.0 cents, default 30.0.
    depth_cents: NotRequired[float | Curve]

    #: Course of the delay; the pitch follows its slope.
    shape: NotRequired[LfoShape]


class ChorusFilter(TypedDict):
    """Makes one voice sound as several, by copies whose delays swing."""

    type: Literal['chorus']

    #: Swings per second.
    #: 0.01 to 20.0 Hz, default 0.8.
    freq_hz: NotRequired[float | Curve]

    #: Swing of the delay to each side; never more than the delay itself.
    #: 0.0 to 20.0 ms, default 2.0.
    depth_ms: NotRequired[float | Curve]

    #: Mean delay of the copies.
    #: 1.0 to 50.0 ms, default 12.0.
    delay_ms: NotRequired[float | Curve]

    #: Copies.
    #: 1 to 8 , default 2.
    voices: NotRequired[int]

    #: How far the swing of each channel is ahead of the one before it.
    #: 0.0 to 360.0 deg, default 90.0.
    spread_deg: NotRequired[float | Curve]

    #: Share of the copies; the rest is the input.
    #: 0.0 to 100.0 %, default 50.0.
    mix_percent: NotRequired[float | Curve]


class FlangerFilter(TypedDict):
    """Moves a comb of notches through the spectrum, by a copy whose short delay swings."""

    type: Literal['flanger']

    #: Swings per second.
    #: 0.01 to 20.0 Hz, default 0.3.
    freq_hz: NotRequired[float | Curve]

    #: Mean delay; the notches are at odd multiples of half its reciprocal.
    #: 0.1 to 20.0 ms, default 2.5.
    delay_ms: NotRequired[float | Curve]

    #: Swing of the delay to each side; never more than the delay itself.
    #: 0.0 to 20.0 ms, default 2.0.
    depth_ms: NotRequired[float | Curve]

    #: Share of the copy that is delayed again; negative numbers make the notches the peaks of the other sign.
    #: -95.0 to 95.0 %, default 30.0.
    feedback_percent: NotRequired[float | Curve]

    #: How far the swing of each channel is ahead of the one before it.
    #: 0.0 to 360.0 deg, default 0.0.
    spread_deg: NotRequired[float | Curve]

    #: Course of the swing.
    shape: NotRequired[LfoShape]

    #: Share of the copy; the rest is the input. 50 gives the deepest notches.
    #: 0.0 to 100.0 %, default 50.0.
    mix_percent: NotRequired[float | Curve]


class PhaserFilter(TypedDict):
    """Moves notches through the spectrum, by all-pass filters whose corner swings between two frequencies."""

    type: Literal['phaser']

    #: Swings per second.
    #: 0.01 to 20.0 Hz, default 0.5.
    freq_hz: NotRequired[float | Curve]

    #: All-pass filters in a row; two make a notch.
    #: 2 to 12 , default 6.
    stages: NotRequired[int]

    #: One end of the swing.
    #: 20.0 to 20000.0 Hz, default 200.0.
    low_hz: NotRequired[float | Curve]

    #: The other end of the swing.
    #: 20.0 to 20000.0 Hz, default 2000.0.
    high_hz: NotRequired[float | Curve]

    #: Share of the filtered sound that goes in again; sharpens the notches.
    #: -95.0 to 95.0 %, default 30.0.
    feedback_percent: NotRequired[float | Curve]

    #: How far the swing of each channel is ahead of the one before it.
    #: 0.0 to 360.0 deg, default 0.0.
    spread_deg: NotRequired[float | Curve]

    #: Share of the filtered sound; the rest is the input. 50 gives the deepest notches.
    #: 0.0 to 100.0 %, default 50.0.
    mix_percent: NotRequired[float | Curve]


class EchoFilter(TypedDict):
    """Repeats the sound after a time, each repetition quieter and, on request, darker."""

    type: Literal['echo']

    #: Time between repetitions.
    #: 1.0 to 5000.0 ms, default 300.0.
    delay_ms: NotRequired[float]

    #: Level of each repetition against the one before.
    #: 0.0 to 95.0 %, default 30.0.
    feedback_percent: NotRequired[float | Curve]

    #: Each repetition loses what is above this frequency, 6 dB per octave. 20000 leaves it as it is.
    #: 100.0 to 20000.0 Hz, default 20000.0.
    damping_hz: NotRequired[float | Curve]

    #: The repetitions change between neighbouring channels (left and right).
    ping_pong: NotRequired[bool]

    #: Share of the repetitions; the rest is the input.
    #: 0.0 to 100.0 %, default 30.0.
    mix_percent: NotRequired[float | Curve]


class BitcrushFilter(TypedDict):
    """Makes the sound coarse as early digital devices did: fewer bits, a lower rate without a filter against
    aliases.
    """

    type: Literal['bitcrush']

    #: Bits; fractions are allowed. Full scale is 2 to the power of bits - 1 steps to each side.
    #: 1.0 to 24.0 bits, default 8.0.
    depth_bits: NotRequired[float | Curve]

    #: Rate at which the signal is sampled and held; at or above the rate of the stream it is left alone.
    #: 100.0 to 192000.0 Hz, default 192000.0.
    hold_hz: NotRequired[float | Curve]

    #: Share of the crushed sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class ReverbFilter(TypedDict):
    """Adds the reverberation of a room."""

    type: Literal['reverb']

    #: Time in which the reverberation falls by 60 dB (T60), below the damping.
    #: 0.1 to 20.0 s, default 1.5.
    decay_s: NotRequired[float | Curve]

    #: Size of the room: scales the lengths of the lines. 100 is a hall of some 25 m.
    #: 10.0 to 100.0 %, default 60.0.
    size_percent: NotRequired[float]

    #: Frequency above which the reverberation decays in a third of the time or less.
    #: 200.0 to 20000.0 Hz, default 5000.0.
    damping_hz: NotRequired[float | Curve]

    #: Silence before the reverberation.
    #: 0.0 to 500.0 ms, default 10.0.
    pre_delay_ms: NotRequired[float]

    #: Difference between the channels of the reverberation: 0 is the same on all, 100 unrelated.
    #: 0.0 to 100.0 %, default 100.0.
    width_percent: NotRequired[float | Curve]

    #: Share of the reverberation; the rest is the input.
    #: 0.0 to 100.0 %, default 25.0.
    mix_percent: NotRequired[float | Curve]


#: Curve of a saturation; all have slope 1 at 0 and stay within -1 to 1.
SaturationCurve = Literal['tanh', 'cubic', 'tube']


#: How many times the rate is raised while a curve is applied.
Oversampling = Literal['4x', '1x', '2x', '8x']


class SaturationFilter(TypedDict):
    """Adds warmth and harmonics by driving the sound into a soft curve."""

    type: Literal['saturation']

    #: Gain before the curve.
    #: -12.0 to 48.0 dB, default 6.0.
    drive_db: NotRequired[float | Curve]

    #: The curve.
    curve: NotRequired[SaturationCurve]

    #: Gain after the curve.
    #: -48.0 to 24.0 dB, default 0.0.
    output_db: NotRequired[float | Curve]

    #: How many times the rate is raised, so that harmonics have room above the band instead of folding back.
    oversampling: NotRequired[Oversampling]

    #: Share of the saturated sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class ExciterFilter(TypedDict):
    """Makes dull sound brighter with harmonics of what lies above a frequency, where an equaliser would only raise
    noise.
    """

    type: Literal['exciter']

    #: Only what lies above is driven, and only harmonics above are added.
    #: 500.0 to 16000.0 Hz, default 3000.0.
    cutoff_hz: NotRequired[float]

    #: Gain before the curve: more makes more harmonics.
    #: 0.0 to 48.0 dB, default 18.0.
    drive_db: NotRequired[float | Curve]

    #: Level at which the harmonics are added.
    #: -60.0 to 0.0 dB, default -18.0.
    amount_db: NotRequired[float | Curve]


#: A recording by its place; text in JSON. Two are equal when their places are.
AudioAsset = str


#: How the level of an impulse response is set.
ImpulseLevel = Literal['energy', 'peak', 'as_is']


class ConvolutionFilter(TypedDict):
    """Gives the sound of a room or a device by its impulse response."""

    type: Literal['convolution']

    #: Recording of the impulse response: a path, or a `data:` URL with the bytes of an audio file in base64. It has one
    #: channel for all, or as many as the sound. Another rate is converted.
    impulse: NotRequired[AudioAsset]

    #: Instead of a recording: a row of samples for all channels, or one for each, at the rate of the stream.
    taps: NotRequired[list[list[float]]]

    #: How its level is set.
    level: NotRequired[ImpulseLevel]

    #: Gain of the convolved sound.
    #: -60.0 to 40.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: Silence before the convolved sound.
    #: 0.0 to 500.0 ms, default 0.0.
    pre_delay_ms: NotRequired[float]

    #: Share of the convolved sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class CompressorBand(TypedDict, total=False):
    """One band. What is not given has its default."""

    #: Upper end of the band, where the next begins; the last band goes on to the top whatever it says. 20 to 20000 Hz,
    #: default 20000, rising from band to band.
    up_to_hz: float

    #: RMS level above which gain is reduced. -80 to 0 dBFS, default -24.
    threshold_dbfs: float

    #: Input over output change above the threshold. 1 to 100, default 2.5.
    ratio: float

    #: Time to cover 63 % of a reduction. 0.05 to 500 ms, default 10.
    attack_ms: float

    #: Time to cover 63 % of a recovery. 1 to 5000 ms, default 150.
    release_ms: float

    #: Gain of the band after compression. -36 to 36 dB, default 0.
    gain_db: float


#: Two to five bands, the lowest first.
CompressorBands = list[CompressorBand]


class MultibandCompressorFilter(TypedDict):
    """Compresses two to five bands on their own, so that bass does not pump the voice."""

    type: Literal['multiband_compressor']

    #: The bands, the lowest first: upper end, threshold, ratio, attack, release and gain of each.
    bands: NotRequired[CompressorBands]

    #: Width of the soft transition around the thresholds.
    #: 0.0 to 36.0 dB, default 6.0.
    knee_db: NotRequired[float | Curve]

    #: Time constant of the RMS detectors.
    #: 0.5 to 500.0 ms, default 10.0.
    rms_ms: NotRequired[float | Curve]

    #: Gain of the sum.
    #: -24.0 to 36.0 dB, default 0.0.
    makeup_db: NotRequired[float | Curve]

    #: Share of the compressed sound; the rest is the sum of the bands before compression, in phase with it.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class TransientShaperFilter(TypedDict):
    """Makes the beginnings of sounds harder or softer and their decay longer or shorter, at any level."""

    type: Literal['transient_shaper']

    #: Share of the attacks' own dB that is added (above 0) or taken away.
    #: -100.0 to 100.0 %, default 40.0.
    attack_percent: NotRequired[float | Curve]

    #: Share of the decays' own dB that is added (above 0) or taken away.
    #: -100.0 to 100.0 %, default 0.0.
    sustain_percent: NotRequired[float | Curve]

    #: Rise time of the slow envelope: how long a beginning counts as attack.
    #: 2.0 to 200.0 ms, default 20.0.
    attack_ms: NotRequired[float | Curve]

    #: Fall time of the slow envelope: how long an end counts as decay.
    #: 50.0 to 2000.0 ms, default 300.0.
    sustain_ms: NotRequired[float | Curve]

    #: Most change of gain.
    #: 0.0 to 30.0 dB, default 15.0.
    range_db: NotRequired[float | Curve]

    #: Gain after it.
    #: -24.0 to 24.0 dB, default 0.0.
    output_db: NotRequired[float | Curve]


class DuckerFilter(TypedDict):
    """Lowers the sound while a key (such as a voice) is there."""

    type: Literal['ducker']

    #: Peak level of the key that starts the ducking.
    #: -100.0 to 0.0 dBFS, default -40.0.
    threshold_dbfs: NotRequired[float | Curve]

    #: How far under the threshold the key must fall before the ducking ends.
    #: 0.0 to 24.0 dB, default 4.0.
    hysteresis_db: NotRequired[float | Curve]

    #: Reduction while the key is there.
    #: 0.0 to 60.0 dB, default 12.0.
    range_db: NotRequired[float | Curve]

    #: Time to cover 63 % of the way down, in dB.
    #: 0.05 to 2000.0 ms, default 50.0.
    attack_ms: NotRequired[float | Curve]

    #: How long the sound stays down after the key: pauses between words.
    #: 1.0 to 10000.0 ms, default 400.0.
    hold_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of the way back, in dB.
    #: 1.0 to 10000.0 ms, default 500.0.
    release_ms: NotRequired[float | Curve]

    #: How much earlier the key is known than the sound is heard; adds as much latency.
    #: 0.0 to 500.0 ms, default 0.0.
    lookahead_ms: NotRequired[float]

    #: High-pass in front of the detector (12 dB per octave); 0 is none.
    #: 0.0 to 2000.0 Hz, default 0.0.
    sidechain_highpass_hz: NotRequired[float | Curve]

    #: Without a key from elsewhere: the channel, counted from 1, whose sound lowers the others and stays as it is
    #: itself. 0: none, the filter then only works with a key.
    #: 0 to 64 , default 0.
    key_channel: NotRequired[int]


#: How peaks are bent.
ClipShape = Literal['soft', 'hard', 'tanh', 'cubic']


class ClipperFilter(TypedDict):
    """Bends peaks at a ceiling, hard or soft, without the aliases of a plain clipper."""

    type: Literal['clipper']

    #: Gain before the curve.
    #: -24.0 to 48.0 dB, default 0.0.
    drive_db: NotRequired[float | Curve]

    #: Level that the curve ends at.
    #: -60.0 to 0.0 dBFS, default -1.0.
    ceiling_dbfs: NotRequired[float | Curve]

    #: How peaks are bent.
    shape: NotRequired[ClipShape]

    #: Where the bend of `soft` begins: at 100 from zero on, at 0 at the ceiling.
    #: 0.0 to 100.0 %, default 30.0.
    knee_percent: NotRequired[float | Curve]

    #: How many times the rate is raised; sets the latency.
    oversampling: NotRequired[Oversampling]

    #: Gain after the curve.
    #: -48.0 to 48.0 dB, default 0.0.
    output_db: NotRequired[float | Curve]


#: Shape of the band.
DynamicShape = Literal['peak', 'low_shelf', 'high_shelf']


#: On which side of the threshold the gain moves.
DynamicSide = Literal['above', 'below']


class DynamicEqFilter(TypedDict):
    """Equaliser band whose gain follows the level within the band: tames a resonance only while it sounds."""

    type: Literal['dynamic_eq']

    #: Shape of the band.
    shape: NotRequired[DynamicShape]

    #: Centre or corner.
    #: 10.0 to 90000.0 Hz, default 2500.0.
    frequency_hz: NotRequired[float | Curve]

    #: Quality: centre divided by bandwidth.
    #: 0.1 to 20.0 , default 1.5.
    q: NotRequired[float | Curve]

    #: Gain while the level does not move it.
    #: -24.0 to 24.0 dB, default 0.0.
    gain_db: NotRequired[float | Curve]

    #: On which side of the threshold the gain moves.
    side: NotRequired[DynamicSide]

    #: RMS level of the band at which the gain begins to move; a full-scale sine at the centre reads -3.01 dBFS.
    #: -100.0 to 0.0 dBFS, default -30.0.
    threshold_dbfs: NotRequired[float | Curve]

    #: How fast the gain moves: from 1 - 1 / ratio dB per dB beyond the threshold; 2 gives half a dB.
    #: 1.0 to 100.0 , default 3.0.
    ratio: NotRequired[float | Curve]

    #: Furthest that the gain moves: negative lowers the band, positive lifts it.
    #: -30.0 to 30.0 dB, default -9.0.
    range_db: NotRequired[float | Curve]

    #: Width of the soft transition around the threshold.
    #: 0.0 to 36.0 dB, default 6.0.
    knee_db: NotRequired[float | Curve]

    #: Time to cover 63 % of a move away from `gain_db`.
    #: 0.05 to 500.0 ms, default 5.0.
    attack_ms: NotRequired[float | Curve]

    #: Time to cover 63 % of the way back.
    #: 1.0 to 5000.0 ms, default 120.0.
    release_ms: NotRequired[float | Curve]

    #: Time constant of the RMS detector.
    #: 0.5 to 500.0 ms, default 5.0.
    rms_ms: NotRequired[float | Curve]


class CurvePoint(TypedDict):
    """One point of the curve."""

    #: 1 to 400000 Hz.
    frequency_hz: float

    #: -120 to 40 dB.
    gain_db: float


#: What becomes of the phase.
FirPhase = Literal['linear', 'minimum']


class FirEqFilter(TypedDict):
    """Equaliser that follows a drawn curve, with linear or minimum phase."""

    type: Literal['fir_eq']

    #: The curve: objects with `frequency_hz` and `gain_db`, frequencies rising. None is flat.
    points: NotRequired[list[CurvePoint]]

    #: What becomes of the phase.
    phase: NotRequired[FirPhase]

    #: Length of the impulse response: details finer than 2000 / length_ms Hz are smoothed.
    #: 1.0 to 1000.0 ms, default 85.0.
    length_ms: NotRequired[float]


#: Frequencies of the splits in Hz, rising.
SplitFrequencies = list[float]


#: Steepness of a crossover.
CrossoverOrder = Literal['lr4', 'lr2', 'lr8']


#: What comes out.
CrossoverOutput = Literal['sum', 'bands']


#: Gains of the bands in dB.
BandGains = list[float]


class CrossoverFilter(TypedDict):
    """Splits the sound into bands (Linkwitz-Riley), as channels of their own or added up again with a gain for each."""

    type: Literal['crossover']

    #: 1 to 7 frequencies in Hz at which to split, rising.
    frequencies_hz: NotRequired[SplitFrequencies]

    #: Steepness.
    order: NotRequired[CrossoverOrder]

    #: What comes out.
    output: NotRequired[CrossoverOutput]

    #: Gain of each band in dB, the lowest first, -120 to 24; those that are not given are 0.
    gains_db: NotRequired[BandGains]


#: Gain of each loudspeaker over the position.
PanLaw = Literal['constant_power', 'compromise', 'linear']


class PanFilter(TypedDict):
    """Places a mono source between left and right, or moves a stereo one."""

    type: Literal['pan']

    #: -100 is left, 100 right.
    #: -100.0 to 100.0 %, default 0.0.
    position_percent: NotRequired[float | Curve]

    #: Gain of each loudspeaker over the position. In the centre stereo is untouched by any.
    law: NotRequired[PanLaw]


#: How the two gains move.
BalanceLaw = Literal['cut', 'constant_power']


class BalanceFilter(TypedDict):
    """Balance of stereo: lowers one side. Each side keeps its own sound; `pan` moves sound across."""

    type: Literal['balance']

    #: -100 is left only, 100 right only.
    #: -100.0 to 100.0 %, default 0.0.
    balance_percent: NotRequired[float | Curve]

    #: How the two gains move.
    law: NotRequired[BalanceLaw]


class WidthFilter(TypedDict):
    """Width of the stereo image: scales the difference of left and right."""

    type: Literal['width']

    #: Gain of the difference: 0 is mono, 100 unchanged, 200 twice as wide.
    #: 0.0 to 300.0 %, default 100.0.
    width_percent: NotRequired[float | Curve]

    #: Lowers a wider image so that the power of unrelated sides stays the same, and raises a narrower one.
    keep_power: NotRequired[bool]


#: Which way.
MidSideDirection = Literal['encode', 'decode']


class MidSideEncodeFilter(TypedDict):
    """Turns left and right into mid and side channels, or back; to run filters on both use `mid_side`."""

    type: Literal['mid_side_encode']

    #: Which way.
    direction: NotRequired[MidSideDirection]


class MonoMakerFilter(TypedDict):
    """Makes the bass mono: below a frequency both sides carry the same sound, as vinyl and subwoofers need it."""

    type: Literal['mono_maker']

    #: Below this the sound is mono; 24 dB per octave.
    #: 20.0 to 2000.0 Hz, default 120.0.
    frequency_hz: NotRequired[float | Curve]


class UpmixFilter(TypedDict):
    """Makes 5.1 from stereo: the middle to the centre, the difference to the surrounds, the bass to the LFE."""

    type: Literal['upmix']

    #: Share of the middle that moves from left and right to the centre.
    #: 0.0 to 100.0 %, default 50.0.
    centre_percent: NotRequired[float | Curve]

    #: Level of the surrounds; at 0 dB each has the difference signal (L - R) / 2 twice in power, as a passive decoder.
    #: -60.0 to 6.0 dB, default -3.0.
    surround_db: NotRequired[float | Curve]

    #: How much later the surrounds sound, so that the front stays in front.
    #: 0.0 to 50.0 ms, default 12.0.
    surround_delay_ms: NotRequired[float]

    #: Highs of the surrounds are removed above this; above half of the rate they are kept.
    #: 1000.0 to 30000.0 Hz, default 7000.0.
    surround_cutoff_hz: NotRequired[float]

    #: Level of the LFE against the sum of both sides; players raise it by 10 dB.
    #: -60.0 to 6.0 dB, default -10.0.
    lfe_db: NotRequired[float | Curve]

    #: The LFE has what lies below this: 24 dB per octave.
    #: 40.0 to 250.0 Hz, default 120.0.
    lfe_cutoff_hz: NotRequired[float]


#: Layout of the result.
DownmixTarget = Literal['stereo', 'mono']


class DownmixFilter(TypedDict):
    """Mixes surround down to stereo or mono with the coefficients of ITU-R BS.775, trimmed on request."""

    type: Literal['downmix']

    #: Layout of the result.
    to: NotRequired[DownmixTarget]

    #: Centre against the standard's -3.01 dB: 1.5 gives -1.5 dB, -3 gives -6 dB.
    #: -60.0 to 6.0 dB, default 0.0.
    centre_trim_db: NotRequired[float | Curve]

    #: Surrounds against the standard's -3.01 dB.
    #: -60.0 to 6.0 dB, default 0.0.
    surround_trim_db: NotRequired[float | Curve]

    #: Level of the LFE in each channel; -60 leaves it out, as the standard does.
    #: -60.0 to 10.0 dB, default -60.0.
    lfe_db: NotRequired[float | Curve]

    #: Lowers all coefficients together so that no output can exceed full scale when no input does.
    normalise: NotRequired[bool]


class CrossfeedFilter(TypedDict):
    """Lets each ear hear some of the other side, so that stereo on headphones sounds as from loudspeakers."""

    type: Literal['crossfeed']

    #: Corner of the low-pass for the other side.
    #: 300.0 to 2000.0 Hz, default 700.0.
    cutoff_hz: NotRequired[float | Curve]

    #: Difference between own and other side at low frequencies: 4.5 is a virtual pair of loudspeakers at 30 degrees and
    #: 3 m, 6 is gentler (Moy), 9.5 gentler still (Meier, with 650 Hz).
    #: 1.0 to 15.0 dB, default 4.5.
    feed_db: NotRequired[float | Curve]


class SwapFilter(TypedDict):
    """Exchanges two channels."""

    type: Literal['swap']

    #: Number of one channel, from 1.
    #: 1 to 64 , default 1.
    first: NotRequired[int]

    #: Number of the other.
    #: 1 to 64 , default 2.
    second: NotRequired[int]


#: Channel numbers, from 1.
ChannelList = list[int]


class RemapFilter(TypedDict):
    """Picks channels by number: reorders, leaves out, doubles."""

    type: Literal['remap']

    #: For each channel of the output the number of its source, from 1. As many as there are inputs keep the layout;
    #: another number gets the usual layout of that many channels.
    channels: NotRequired[ChannelList]


class PhaseInvertFilter(TypedDict):
    """Inverts the polarity of chosen channels, as for a microphone that was wired the wrong way round."""

    type: Literal['phase_invert']

    #: Numbers of the channels, from 1; none means all.
    channels: NotRequired[ChannelList]


#: How many decisions about the phase there are.
MonoBands = Literal['full', 'four']


class StereoToMonoFilter(TypedDict):
    """Mixes stereo to mono and inverts one side where the two would cancel each other."""

    type: Literal['stereo_to_mono']

    #: How many decisions about the phase there are.
    bands: NotRequired[MonoBands]

    #: The right side is inverted when the correlation falls below minus this, and turned back above it.
    #: 0.05 to 0.95 , default 0.3.
    threshold: NotRequired[float | Curve]

    #: Time constant of the correlation.
    #: 20.0 to 2000.0 ms, default 200.0.
    window_ms: NotRequired[float | Curve]

    #: How much earlier the correlation is known than the sound is heard; adds as much latency.
    #: 0.0 to 500.0 ms, default 100.0.
    lookahead_ms: NotRequired[float]


#: Which peak.
PeakKind = Literal['sample', 'true']


class NormalizePeakFilter(TypedDict):
    """Gives a whole file the gain that brings its highest peak to a target. For files."""

    type: Literal['normalize_peak']

    #: Peak of the result.
    #: -60.0 to 0.0 dBFS, default -1.0.
    target_dbfs: NotRequired[float]

    #: Which peak.
    peak: NotRequired[PeakKind]

    #: One gain for all channels, which keeps the stereo image; otherwise one for each.
    link: NotRequired[bool]

    #: Most gain: what needs more stays quieter.
    #: 0.0 to 120.0 dB, default 60.0.
    max_gain_db: NotRequired[float]


class NormalizeRmsFilter(TypedDict):
    """Gives a whole file the gain that brings its RMS level to a target. For files."""

    type: Literal['normalize_rms']

    #: RMS of the result over the whole time and all channels; a full-scale sine reads -3.01 dBFS.
    #: -80.0 to 0.0 dBFS, default -20.0.
    target_dbfs: NotRequired[float]

    #: Lowers the gain where the peaks would exceed the ceiling; otherwise they do.
    prevent_clipping: NotRequired[bool]

    #: Highest sample when clipping is prevented.
    #: -40.0 to 0.0 dBFS, default 0.0.
    ceiling_dbfs: NotRequired[float]

    #: Most gain: what needs more stays quieter.
    #: 0.0 to 120.0 dB, default 60.0.
    max_gain_db: NotRequired[float]


class LoudnessFilter(TypedDict):
    """Brings a whole file to a loudness, with true peaks under a ceiling: measure, gain, limiter. For files."""

    type: Literal['loudness']

    #: Integrated loudness of the result.
    #: -60.0 to -5.0 LUFS, default -16.0.
    target_lufs: NotRequired[float]

    #: Highest true peak of the result.
    #: -20.0 to 0.0 dBTP, default -1.0.
    ceiling_dbtp: NotRequired[float]

    #: Most gain: what needs more is noise, and stays quieter.
    #: 0.0 to 80.0 dB, default 60.0.
    max_gain_db: NotRequired[float]

    #: Measures a single channel as it sounds from two loudspeakers: 3.01 LU louder.
    dual_mono: NotRequired[bool]


#: Where the gain comes from.
ReplaygainSource = Literal['given', 'measure']


class ReplaygainApplyFilter(TypedDict):
    """Applies a ReplayGain, from tags or measured, without clipping. For files."""

    type: Literal['replaygain_apply']

    #: Where the gain comes from.
    source: NotRequired[ReplaygainSource]

    #: Gain of the tag.
    #: -60.0 to 60.0 dB, default 0.0.
    gain_db: NotRequired[float]

    #: Peak of the tag, 1 is full scale; 0 is not known.
    #: 0.0 to 100.0 , default 0.0.
    peak: NotRequired[float]

    #: Loudness that a measured gain leads to.
    #: -40.0 to 0.0 LUFS, default -18.0.
    reference_lufs: NotRequired[float]

    #: Gain on top.
    #: -24.0 to 24.0 dB, default 0.0.
    preamp_db: NotRequired[float]

    #: Lowers the gain where the peak would exceed full scale.
    prevent_clipping: NotRequired[bool]


#: Noise that is added before bits are dropped.
DitherShape = Literal['tpdf', 'shaped', 'none']


class DitherFilter(TypedDict):
    """Reduces the samples to fewer bits with dither, so that the error is noise instead of distortion."""

    type: Literal['dither']

    #: Bits of the result, which stays in floats.
    #: 4 to 24 bits, default 16.
    bits: NotRequired[int]

    #: Noise that is added before bits are dropped.
    shape: NotRequired[DitherShape]


class TrimFilter(TypedDict):
    """Keeps the stretch between two times and drops the rest. For files."""

    type: Literal['trim']

    #: Time of the first frame that is kept.
    #: 0.0 to 1000000.0 s, default 0.0.
    start_s: NotRequired[float]

    #: Time of the first frame that is dropped again; 0 is the end of the file.
    #: 0.0 to 1000000.0 s, default 0.0.
    end_s: NotRequired[float]

    #: Length of what is kept, instead of `end_s`; 0 is no limit.
    #: 0.0 to 1000000.0 s, default 0.0.
    duration_s: NotRequired[float]


class PadFilter(TypedDict):
    """Adds silence before and after, or up to a length. For files."""

    type: Literal['pad']

    #: Silence before the first frame.
    #: 0.0 to 86400.0 s, default 0.0.
    start_s: NotRequired[float]

    #: Silence after the last frame.
    #: 0.0 to 86400.0 s, default 0.0.
    end_s: NotRequired[float]

    #: Least length of the result, silence included: what is missing is added at the end. What is longer stays.
    #: 0.0 to 86400.0 s, default 0.0.
    to_length_s: NotRequired[float]


class ReverseFilter(TypedDict):
    """Turns the time round: the last frame comes first. For files."""

    type: Literal['reverse']

    #: Off leaves the file as it is.
    enabled: NotRequired[bool]


#: Gains of a cross-fade; `t` runs from 0 to 1.
CrossfadeCurve = Literal['equal_power', 'equal_gain', 'smooth']


class LoopFilter(TypedDict):
    """Plays the file several times in a row, with a cross-fade from each end to the next beginning. For files."""

    type: Literal['loop']

    #: How often it is played in all.
    #: 1 to 10000 , default 1.
    count: NotRequired[int]

    #: Overlap of two rounds, at most half of the file.
    #: 0.0 to 60000.0 ms, default 0.0.
    crossfade_ms: NotRequired[float]

    #: Course of the cross-fade.
    curve: NotRequired[CrossfadeCurve]


class SpeedFilter(TypedDict):
    """Plays faster or slower, and higher or lower with it, as a tape does. For files."""

    type: Literal['speed']

    #: 2 is twice as fast and an octave higher.
    #: 0.05 to 20.0 , default 1.0.
    factor: NotRequired[float]

    #: How steep and clean the conversion is.
    quality: NotRequired[ResampleQuality]


#: How the time is stretched.
TempoMode = Literal['music', 'speech', 'auto']


class TempoFilter(TypedDict):
    """Plays faster or slower and keeps the pitch. For files."""

    type: Literal['tempo']

    #: 2 is twice as fast, half as long.
    #: 0.1 to 10.0 , default 1.0.
    factor: NotRequired[float]

    #: How the time is stretched.
    mode: NotRequired[TempoMode]


class PitchFilter(TypedDict):
    """Moves the pitch up or down and keeps the tempo. For files."""

    type: Literal['pitch']

    #: How far; 12 is an octave up.
    #: -24.0 to 24.0 semitones, default 0.0.
    semitones: NotRequired[float]

    #: Added to it: hundredths of a semitone.
    #: -100.0 to 100.0 cents, default 0.0.
    cents: NotRequired[float]

    #: Keeps the formants where they are, so that a voice stays the same person. Uses the method for music.
    keep_formants: NotRequired[bool]

    #: How the time is stretched.
    mode: NotRequired[TempoMode]


class CutSilenceFilter(TypedDict):
    """Shortens long pauses inside a file and tells where; silence at the beginning and the end stays. For files."""

    type: Literal['cut_silence']

    #: Peak level under which all channels count as silent.
    #: -120.0 to 0.0 dBFS, default -50.0.
    threshold_dbfs: NotRequired[float]

    #: Shortest pause that is cut.
    #: 20.0 to 600000.0 ms, default 800.0.
    min_pause_ms: NotRequired[float]

    #: What is left of a pause, half after the last sound and half before the next; at most `min_pause_ms`.
    #: 0.0 to 600000.0 ms, default 400.0.
    keep_ms: NotRequired[float]

    #: Cross-fade over the cut, a part of what is kept.
    #: 0.0 to 100.0 ms, default 5.0.
    crossfade_ms: NotRequired[float]


#: Delays of the channels in order, in milliseconds, -1000 to 1000; negative is earlier. Channels without one stay.
ChannelDelays = list[float]


class DelayAlignFilter(TypedDict):
    """Delays or advances single channels, as for microphones at different distances. Sound travels 34 cm in 1 ms."""

    type: Literal['delay_align']

    #: Delay of each channel in order, -1000 to 1000 ms; negative is earlier. Channels without one stay.
    delays_ms: NotRequired[ChannelDelays]

    #: Rounds to whole frames, which are exact, instead of parts of a frame by interpolation.
    whole_frames: NotRequired[bool]


class DeclickFilter(TypedDict):
    """Finds clicks and replaces them by what the sound around them lets expect. All other samples stay bit for bit."""

    type: Literal['declick']

    #: How far a click must stand out of the sound, in standard deviations of what is not predictable: less finds more
    #: clicks, and takes more of the sound for clicks.
    #: 1.5 to 50.0 , default 6.0.
    threshold: NotRequired[float | Curve]

    #: Longest click that is repaired.
    #: 0.1 to 6.0 ms, default 2.5.
    longest_ms: NotRequired[float | Curve]


class DecrackleFilter(TypedDict):
    """Finds many short weak clicks and replaces them by what the sound around them lets expect."""

    type: Literal['decrackle']

    #: How far a click must stand out of the sound, in standard deviations of what is not predictable.
    #: 1.5 to 20.0 , default 3.5.
    threshold: NotRequired[float | Curve]

    #: Longest click that is repaired.
    #: 0.05 to 2.0 ms, default 0.4.
    longest_ms: NotRequired[float | Curve]

    #: Share of the repaired sound; the rest is the input.
    #: 0.0 to 100.0 %, default 100.0.
    mix_percent: NotRequired[float | Curve]


class DeclipFilter(TypedDict):
    """Finds samples that were clipped and puts back peaks that fit the sound. They go beyond the clip level, so
    lower the
    level afterwards. All other samples stay bit for bit.
    """

    type: Literal['declip']

    #: Finds the clip level itself, for each channel and side; false takes `level_dbfs`.
    detect: NotRequired[bool]

    #: Level from which samples count as clipped when it is not detected. For recordings that were coded with losses
    #: after clipping, whose flat tops are no longer flat.
    #: -60.0 to 0.0 dBFS, default -0.5.
    level_dbfs: NotRequired[float | Curve]

    #: Most that a restored peak may rise above the clip level.
    #: 0.0 to 40.0 dB, default 12.0.
    headroom_db: NotRequired[float | Curve]


#: Frequency of the mains.
Mains = Literal['auto', '50', '60']


class DehumFilter(TypedDict):
    """Removes mains hum and buzz: a tone of 50 or 60 Hz and its harmonics, whose frequency and strength it follows."""

    type: Literal['dehum']

    #: Frequency of the mains.
    mains: NotRequired[Mains]

    #: Number of harmonics that are removed, the first included.
    #: 1 to 64 , default 24.
    harmonics: NotRequired[int]

    #: Width of what is removed around each harmonic: more follows changes faster, less spares the sound.
    #: 0.1 to 5.0 Hz, default 1.0.
    width_hz: NotRequired[float | Curve]


class NoisePoint(TypedDict):
    """One point of a noise profile."""

    #: Frequency in Hz. 1 to 96000.
    frequency_hz: float

    #: Power of the noise in 1 Hz around it, in dB relative to a full-scale sine. -240 to 20.
    density_db: float


#: A noise profile: points of rising frequency. Between them the density is on a straight line in dB over Hz; beyond the
#: ends it stays.
NoiseProfile = list[NoisePoint]


class DenoiseProfileFilter(TypedDict):
    """Lowers a noise whose profile was learned from a stretch of noise alone, or is given. Sound before the end of
    the
    stretch passes as it is.
    """

    type: Literal['denoise_profile']

    #: Where the noise alone starts.
    #: 0.0 to 36000.0 s, default 0.0.
    start_s: NotRequired[float]

    #: Where it ends. At least 0.2 s later, better 1 s.
    #: 0.0 to 36000.0 s, default 0.5.
    end_s: NotRequired[float]

    #: The profile, when it is known: then nothing is learned.
    profile: NotRequired[NoiseProfile]

    #: Most reduction of noise; 0 changes nothing.
    #: 0.0 to 60.0 dB, default 18.0.
    reduction_db: NotRequired[float | Curve]

    #: Raises or lowers the profile before it is used: more takes away more, speech included.
    #: -12.0 to 12.0 dB, default 0.0.
    sensitivity_db: NotRequired[float | Curve]


class DeplosiveFilter(TypedDict):
    """Lowers plosives, the low bursts of p and b close to a microphone."""

    type: Literal['deplosive']

    #: Where the low band ends.
    #: 60.0 to 300.0 Hz, default 120.0.
    cutoff_hz: NotRequired[float | Curve]

    #: How far the low band may stand out, over its usual level and over the band above.
    #: 0.0 to 30.0 dB, default 6.0.
    threshold_db: NotRequired[float | Curve]

    #: Most reduction; 0 changes nothing.
    #: 0.0 to 60.0 dB, default 24.0.
    reduction_db: NotRequired[float | Curve]


class DereverbFilter(TypedDict):
    """Lowers the late reverberation of speech that was recorded in a room."""

    type: Literal['dereverb']

    #: Time in which the room's sound falls by 60 dB: 0.4 for a living room, 1 for a bare classroom.
    #: 0.1 to 5.0 s, default 0.6.
    t60_s: NotRequired[float | Curve]

    #: Most reduction; 0 changes nothing.
    #: 0.0 to 40.0 dB, default 12.0.
    reduction_db: NotRequired[float | Curve]

    #: Raises or lowers the estimate of the reverberation before it is used.
    #: -12.0 to 12.0 dB, default 0.0.
    sensitivity_db: NotRequired[float | Curve]


#: A recording by its place, a path or a `data:` URL; text in JSON. Two are equal when their places are.
Recording = str


#: Recordings in order.
Recordings = list[Recording]


class ConcatFilter(TypedDict):
    """Puts other recordings before and after the sound, such as an intro and an outro, with cross-fades. For files."""

    type: Literal['concat']

    #: Recordings before the sound, in order: paths, or `data:` URLs with the bytes of an audio file in base64. Their
    #: rate and channels are converted. At most 64.
    before: NotRequired[Recordings]

    #: Recordings after the sound, likewise.
    after: NotRequired[Recordings]

    #: Overlap of neighbours; at most what the shorter of the two has.
    #: 0.0 to 60.0 s, default 0.0.
    crossfade_s: NotRequired[float]

    #: Course of the cross-fades.
    curve: NotRequired[CrossfadeCurve]


class MixInput(TypedDict):
    """One recording of `MixParams`."""

    #: Path, or a `data:` URL with the bytes of an audio file in base64. Rate and channels are converted.
    path: Recording

    #: -120 to 60 dB, default 0.
    gain_db: NotRequired[float]

    #: Where in the sound it begins: 0 to 86400 s, default 0.
    start_s: NotRequired[float]

    #: Where in the recording it begins: 0 to 86400 s, default 0.
    from_s: NotRequired[float]

    #: Length of the fade at its start: 0 to 600 s, default 0.
    fade_in_s: NotRequired[float]

    #: Length of the fade at its end, or at the end of the sound when that is earlier: 0 to 600 s, default 0.
    fade_out_s: NotRequired[float]

    #: Begins again at `from_s` whenever it ends, until the sound ends. Default false.
    loop: NotRequired[bool]


#: How long a mix is.
MixLength = Literal['sound', 'longest']


class MixFilter(TypedDict):
    """Mixes other recordings into the sound, such as music under speech. For files."""

    type: Literal['mix']

    #: Recordings, at most 64: objects with the `path`, and where wanted `gain_db`, `start_s`, `from_s`, `fade_in_s`,
    #: `fade_out_s` and `loop`. The sum is not limited.
    inputs: NotRequired[list[MixInput]]

    #: How long the result is.
    length: NotRequired[MixLength]

    #: Course of the fades.
    curve: NotRequired[CrossfadeCurve]


class AlignFilter(TypedDict):
    """Finds by correlation how much the sound is later or earlier than a reference, and moves it there. For files."""

    type: Literal['align']

    #: Recording of the same event: a path, or a `data:` URL with the bytes of an audio file in base64. None: nothing
    #: moves.
    reference: NotRequired[Recording]

    #: Largest offset that is looked for, in either direction.
    #: 0.01 to 30.0 s, default 5.0.
    search_s: NotRequired[float]

    #: How much from the start of both is compared, the search included.
    #: 0.1 to 120.0 s, default 30.0.
    window_s: NotRequired[float]

    #: How far the peak of the correlation must stand out, in standard deviations of the rest; with less nothing moves.
    #: 3.0 to 100.0 , default 8.0.
    threshold: NotRequired[float]


#: A filter with its parameters: an object whose `type` is the filter's name; parameters that are not given have their
#: defaults. Parameters that can change while the filter runs can be curves.
Filter = (
    DcBlockerFilter
    | HighpassFilter
    | LowpassFilter
    | BandpassFilter
    | LowShelfFilter
    | HighShelfFilter
    | PeakEqFilter
    | TiltEqFilter
    | FilterType
    | AllpassFilter
    | ButterworthFilter
    | Chebyshev1Filter
    | Chebyshev2Filter
    | BesselFilter
    | ParametricEqFilter
    | GraphicEqFilter
    | GainFilter
    | CompressorFilter
    | LimiterFilter
    | GateFilter
    | ExpanderFilter
    | DeEsserFilter
    | LevelerFilter
    | DenoiseSpectralFilter
    | DenoiseRnnFilter
    | StereoFilter
    | ChannelMixFilter
    | ResampleFilter
    | FadeFilter
    | TrimSilenceFilter
    | ParallelFilter
    | MidSideFilter
    | ChannelsFilter
    | SidechainFilter
    | TremoloFilter
    | RingModFilter
    | VibratoFilter
    | ChorusFilter
    | FlangerFilter
    | PhaserFilter
    | EchoFilter
    | BitcrushFilter
    | ReverbFilter
    | SaturationFilter
    | ExciterFilter
    | ConvolutionFilter
    | MultibandCompressorFilter
    | TransientShaperFilter
    | DuckerFilter
    | ClipperFilter
    | DynamicEqFilter
    | FirEqFilter
    | CrossoverFilter
    | PanFilter
    | BalanceFilter
    | WidthFilter
    | MidSideEncodeFilter
    | MonoMakerFilter
    | UpmixFilter
    | DownmixFilter
    | CrossfeedFilter
    | SwapFilter
    | RemapFilter
    | PhaseInvertFilter
    | StereoToMonoFilter
    | NormalizePeakFilter
    | NormalizeRmsFilter
    | LoudnessFilter
    | ReplaygainApplyFilter
    | DitherFilter
    | TrimFilter
    | PadFilter
    | ReverseFilter
    | LoopFilter
    | SpeedFilter
    | TempoFilter
    | PitchFilter
    | CutSilenceFilter
    | DelayAlignFilter
    | DeclickFilter
    | DecrackleFilter
    | DeclipFilter
    | DehumFilter
    | DenoiseProfileFilter
    | DeplosiveFilter
    | DereverbFilter
    | ConcatFilter
    | MixFilter
    | AlignFilter
)


class LoudnessTarget(TypedDict):
    """Integrated loudness, ITU-R BS.1770-5 / EBU R 128."""

    measure: Literal['loudness']

    #: Target in LUFS, -70 to -5.
    integrated_lufs: float

    #: Highest true peak in dBTP, -20 to 0.
    true_peak_dbtp: float


class RmsTarget(TypedDict):
    """RMS over the whole file, as audiobook platforms ask."""

    measure: Literal['rms']

    #: Target in dBFS where a full-scale square wave is 0, -60 to -3.
    rms_dbfs: float

    #: Highest true peak in dBTP, -20 to 0.
    true_peak_dbtp: float


#: A level that the outputs must have, measured after encoding.
LevelTarget = (
    LoudnessTarget
    | RmsTarget
)


#: Sample format of a PCM file.
PcmSample = Literal['s16', 's24', 's32', 'f32']


#: Noise that is added before bits are dropped, so that the error is noise instead of distortion.
Dither = Literal['none', 'tpdf', 'shaped']


class WavFormat(TypedDict):
    """RIFF WAVE; becomes RF64 past 4 GiB."""

    format: Literal['wav']

    #: Sample format. Default: that of a lossless source (8 bits become 16), else 24-bit integers.
    sample: NotRequired[PcmSample | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class W64Format(TypedDict):
    """Sony Wave64."""

    format: Literal['w64']

    #: Sample format. Default: that of a lossless source (8 bits become 16), else 24-bit integers.
    sample: NotRequired[PcmSample | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class AiffFormat(TypedDict):
    """AIFF (integers), AIFF-C (floats)."""

    format: Literal['aiff']

    #: Sample format. Default: that of a lossless source (8 bits become 16), else 24-bit integers.
    sample: NotRequired[PcmSample | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class CafFormat(TypedDict):
    """Apple Core Audio Format, PCM."""

    format: Literal['caf']

    #: Sample format. Default: that of a lossless source (8 bits become 16), else 24-bit integers.
    sample: NotRequired[PcmSample | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class FlacFormat(TypedDict):
    """FLAC."""

    format: Literal['flac']

    #: Effort, 0 (fast) to 8 (small). Default 5.
    level: NotRequired[int | None]

    #: 16, 24 or 32. Default: that of a lossless source, else 24.
    bits: NotRequired[int | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class AlacFormat(TypedDict):
    """Apple Lossless in M4A."""

    format: Literal['alac']

    #: 16, 20, 24 or 32. Default: that of a lossless source, else 24.
    bits: NotRequired[int | None]

    #: Dither when bits are dropped. Default TPDF.
    dither: NotRequired[Dither]


class BitRateKbps(TypedDict):
    """Constant (or average, where a codec knows no constant) rate in kbit/s for all channels together."""

    kbps: int


class BitRateQuality(TypedDict):
    """Variable, 0.0 (smallest) to 1.0 (best)."""

    quality: float


#: How a lossy encoder chooses its bit rate.
BitRate = (
    BitRateKbps
    | BitRateQuality
)


class Mp3Format(TypedDict):
    """MP3 with gapless information."""

    format: Literal['mp3']

    #: Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    bit_rate: NotRequired[BitRate | None]


class M4aFormat(TypedDict):
    """AAC-LC in M4A."""

    format: Literal['m4a']

    #: Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    bit_rate: NotRequired[BitRate | None]


class AdtsFormat(TypedDict):
    """AAC-LC with ADTS headers. Cannot hold tags or gapless information."""

    format: Literal['adts']

    #: Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    bit_rate: NotRequired[BitRate | None]


class OpusFormat(TypedDict):
    """Opus in Ogg."""

    format: Literal['opus']

    #: Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    bit_rate: NotRequired[BitRate | None]


class VorbisFormat(TypedDict):
    """Vorbis in Ogg. Needs the feature `vorbis`."""

    format: Literal['vorbis']

    #: Bit rate. Default: one that is transparent for most listeners, by codec, channels and rate.
    bit_rate: NotRequired[BitRate | None]


#: An output format with its settings. Fields left out take a default that fits the source.
Format = (
    WavFormat
    | W64Format
    | AiffFormat
    | CafFormat
    | FlacFormat
    | AlacFormat
    | Mp3Format
    | M4aFormat
    | AdtsFormat
    | OpusFormat
    | VorbisFormat
)


class Output(TypedDict, total=False):
    """One file to write."""

    #: Where to write it.
    path: str

    #: Format and settings. Default: by the extension of `path`.
    format: Format | None


#: What to do with the source's tags.
TagPolicy = Literal['keep', 'strip_private', 'none']


#: Quantities that a check can look at, measured on the decoded output.
Quantity = Literal['integrated_lufs', 'true_peak_dbtp', 'sample_peak_dbfs', 'rms_dbfs', 'noise_floor_dbfs', 'range_lu', 'max_momentary_lufs', 'max_short_term_lufs']


class CheckSpec(TypedDict):
    """A value that an output must keep to."""

    #: What is looked at.
    quantity: Quantity

    #: Smallest allowed value.
    min: NotRequired[float | None]

    #: Largest allowed value.
    max: NotRequired[float | None]


#: Whether outputs are decoded and measured again.
Verify = Literal['full', 'none']


#: What to do with an output that exists.
Overwrite = Literal['replace', 'refuse']


class Request(TypedDict, total=False):
    """A complete description of one job: the same recipe and input give the same bytes everywhere."""

    #: The file to read. Left empty when the caller hands over a `formats::Source`.
    input: str

    #: How to read it.
    read: ReadOptions

    #: Part of the input to use.
    trim: Trim

    #: Processing before the level is measured, in order.
    filters: Sequence[str | Filter]

    #: Level to meet. Default: the level stays as it is.
    level: LevelTarget | None

    #: Sample rate of the outputs in Hz, 8000 to 768000. Default: that of the input, or what a format needs.
    rate_hz: int | None

    #: Channels of the outputs. Default: those of the input, or what a format allows.
    layout: ChannelLayout | None

    #: Files to write, all from one decode.
    outputs: Sequence[str | Output]

    #: Settings for outputs that do not state a format, by the format that their extension gives.
    format_defaults: Sequence[Format]

    #: What to do with tags, pictures and chapters.
    tags: TagPolicy

    #: Fields to set (a text) or to remove (null), after the policy.
    set_tags: dict[str, str | None]

    #: Values that the outputs must keep to. One that is missed is reported; it is no error.
    checks: Sequence[CheckSpec]

    #: Require that every output holds exactly the input's samples. Default false.
    bit_exact: bool

    #: Whether every output is decoded and measured again. Default: `full`.
    verify: Verify

    #: What to do with outputs that exist. Default: `replace`.
    overwrite: Overwrite

    #: Preset whose values hold where this says nothing.
    preset: str | None

    #: Short for `outputs`: a path, or a list.
    output: str | Output | Sequence[str | Output]


class Recipe(TypedDict, total=False):
    """A complete description of one job: the same recipe and input give the same bytes everywhere."""

    #: The file to read. Left empty when the caller hands over a `formats::Source`.
    input: str

    #: How to read it.
    read: ReadOptions

    #: Part of the input to use.
    trim: Trim

    #: Processing before the level is measured, in order.
    filters: list[Filter]

    #: Level to meet. Default: the level stays as it is.
    level: LevelTarget | None

    #: Sample rate of the outputs in Hz, 8000 to 768000. Default: that of the input, or what a format needs.
    rate_hz: int | None

    #: Channels of the outputs. Default: those of the input, or what a format allows.
    layout: ChannelLayout | None

    #: Files to write, all from one decode.
    outputs: list[Output]

    #: Settings for outputs that do not state a format, by the format that their extension gives.
    format_defaults: list[Format]

    #: What to do with tags, pictures and chapters.
    tags: TagPolicy

    #: Fields to set (a text) or to remove (null), after the policy.
    set_tags: dict[str, str | None]

    #: Values that the outputs must keep to. One that is missed is reported; it is no error.
    checks: list[CheckSpec]

    #: Require that every output holds exactly the input's samples. Default false.
    bit_exact: bool

    #: Whether every output is decoded and measured again. Default: `full`.
    verify: Verify

    #: What to do with outputs that exist. Default: `replace`.
    overwrite: Overwrite


#: File formats that hold audio.
Container = Literal['wav', 'rf64', 'bw64', 'w64', 'aiff', 'aifc', 'caf', 'au', 'flac', 'ogg', 'matroska', 'web_m', 'wav_pack', 'rifx', 'mp4', 'mpeg_audio', 'adts', 'latm', 'other']


#: Audio codings.
Codec = Literal['pcm', 'pcm_float', 'a_law', 'mu_law', 'adpcm_ms', 'adpcm_ima', 'flac', 'mp1', 'mp2', 'mp3', 'aac_lc', 'alac', 'vorbis', 'opus', 'wav_pack', 'gsm', 'he_aac', 'he_aac_v2', 'aac', 'other']


class Spec(TypedDict):
    """Sample rate and channel layout of a stream."""

    #: Frames per second, in Hz.
    rate_hz: int

    #: Number and meaning of the channels.
    layout: ChannelLayout


class SampleFormatInt(TypedDict):
    """Integers of that many significant bits, 1 to 32. `super::Decoder::read_int` gives them exactly."""

    int: int


class SampleFormatFloat(TypedDict):
    """IEEE floats of 32 or 64 bits."""

    float: int


#: How a codec represents its samples.
SampleFormat = (
    Literal['lossy']
    | SampleFormatInt
    | SampleFormatFloat
)


class Duration(TypedDict):
    """A length, with whether it can be trusted."""

    #: Frames after encoder delay and padding are removed.
    frames: int

    #: True when the container states it to the frame; false for an estimate from bit rate and size.
    exact: bool


class StreamInfo(TypedDict):
    """The audio stream that a decoder delivers."""

    #: File format.
    container: Container

    #: Coding of the audio.
    codec: Codec

    #: Rate and layout of the decoded audio.
    spec: Spec

    #: Representation of the samples before decoding.
    sample_format: SampleFormat

    #: Length, when it is known or can be estimated.
    duration: NotRequired[Duration | None]

    #: Mean bit rate in kbit/s, when known.
    bit_rate_kbps: NotRequired[float | None]

    #: Frames at the start that are dropped because the encoder added them.
    delay_frames: int

    #: Frames at the end that are dropped because the encoder added them.
    padding_frames: int


class Step(TypedDict):
    """One step of a plan, in words."""

    #: What is done, such as `filter highpass`.
    what: str

    #: Why, or with what consequence.
    why: str


class Negotiated(TypedDict):
    """What an encoder will do for a stream."""

    #: Rate and layout that `Encoder::write` takes. Where it differs from the source, the caller resamples and mixes.
    spec: Spec

    #: Sample format in the file.
    sample_format: SampleFormat

    #: Settings with every default filled in (bit rate, bits, ...).
    settings: Format

    #: What differs from the source and why, in words, for the plan and the report.
    notes: list[str]


class PlannedOutput(TypedDict):
    """An output of a `Plan`."""

    #: Where it will be written.
    path: str

    #: What the encoder needs and does.
    encoder: Negotiated


class Plan(TypedDict):
    """What a run of a recipe will do. Made from the headers of the input only."""

    #: The input.
    input: StreamInfo

    #: Everything that will be done, in order.
    steps: list[Step]

    #: Rate and layout after the filters, where the level is measured.
    working: Spec

    #: Delay of the filters in seconds. It is compensated: outputs are not shifted.
    latency_s: float

    #: True when the samples are copied untouched.
    bit_exact: bool

    #: Size of the spool in bytes, when the duration is known; 0 when none is needed.
    spool_bytes: NotRequired[int | None]

    #: Part of the spool that stays in memory, in bytes; the rest goes to a temporary file.
    spool_memory_bytes: int

    #: Per output: what the encoder needs and does.
    outputs: list[PlannedOutput]


class DamageEvent(TypedDict):
    """One place where the input is damaged."""

    #: Frame position in the decoded stream, when known.
    frame: NotRequired[int | None]

    #: Byte offset in the input, when known.
    byte: NotRequired[int | None]

    #: What is wrong and what was done.
    what: str


class Damage(TypedDict):
    """Damage that was survived. All zero and empty for a sound file."""

    #: Bytes that were skipped to find the next decodable frame.
    bytes_skipped: int

    #: Frames that were replaced by silence or by a guess.
    frames_concealed: int

    #: Samples that were NaN or infinite and were set to 0.
    samples_repaired: int

    #: True when the file ends before its headers say.
    truncated: bool

    #: The first `Damage::MAX_EVENTS` events.
    events: list[DamageEvent]

    #: Number of all events.
    event_count: int


class Finding(TypedDict):
    """Something that a filter found in a file, or did to it, for the report."""

    #: Name of the filter.
    filter: str

    #: What it is, such as `cut`.
    what: str

    #: Where it begins, in seconds of the filter's input.
    start_s: float

    #: Where it ends, in seconds of the filter's input.
    end_s: float


class Loudness(TypedDict):
    """The result of a measurement. Values in dB are `-inf` for silence and NaN when they were not asked for; both
    are
    `null` in JSON.
    """

    #: Integrated loudness in LUFS, gated: BS.1770-5 Annex 1. What lasts less than 400 ms counts as one block.
    integrated_lufs: NotRequired[float | None]

    #: Relative gate of the integrated loudness in LUFS.
    threshold_lufs: NotRequired[float | None]

    #: Loudness range in LU: EBU Tech 3342. 0 for less than 3 s.
    range_lu: NotRequired[float | None]

    #: Lower end of the range in LUFS: the 10th percentile of the short-term loudness.
    range_low_lufs: NotRequired[float | None]

    #: Upper end of the range in LUFS: the 95th percentile.
    range_high_lufs: NotRequired[float | None]

    #: Largest loudness of 400 ms, in LUFS.
    max_momentary_lufs: NotRequired[float | None]

    #: Largest loudness of 3 s, in LUFS. What comes before the beginning counts as silence.
    max_short_term_lufs: NotRequired[float | None]

    #: Largest true peak of any channel in dBTP: BS.1770-5 Annex 2.
    true_peak_dbtp: NotRequired[float | None]

    #: Largest sample of any channel in dBFS.
    sample_peak_dbfs: NotRequired[float | None]

    #: RMS over the whole time and all channels in dBFS, unweighted; a full-scale sine reads -3.01.
    rms_dbfs: NotRequired[float | None]

    #: RMS of the quietest half second in dBFS (of all, when shorter), all channels, unweighted. The noise floor as
    #: audiobook platforms check it.
    noise_floor_dbfs: NotRequired[float | None]

    #: Frames measured.
    frames: int


class Loss(TypedDict):
    """Something that the target could not hold."""

    #: Field key, `picture`, `chapter`, or the kind of a native item.
    field: str

    #: Why.
    reason: str


class Encoded(TypedDict):
    """What was written."""

    #: Frames of audio that a decoder honouring gapless information gives back.
    frames: int

    #: Size of the file.
    bytes: int

    #: Frames that the encoder added at the start and that the file tells decoders to drop.
    delay_frames: int

    #: Frames that the encoder added at the end.
    padding_frames: int

    #: Samples that were beyond full scale and were clipped (integer formats only).
    clipped_samples: int

    #: Dither that was applied.
    dither: Dither

    #: Metadata that the format could not hold.
    losses: list[Loss]


class CheckResult(TypedDict):
    """Outcome of one check."""

    #: What is looked at.
    quantity: Quantity

    #: Smallest allowed value.
    min: NotRequired[float | None]

    #: Largest allowed value.
    max: NotRequired[float | None]

    #: What was measured; absent when it cannot be measured (silence, too short).
    value: NotRequired[float | None]

    #: Within the limits.
    passed: bool


class OutputReport(TypedDict):
    """One written file."""

    #: Where it is.
    path: str

    #: What the encoder was told and why.
    encoder: Negotiated

    #: What the encoder wrote.
    encoded: Encoded

    #: BLAKE3 of the file; absent when nothing of it is verified.
    blake3: NotRequired[str | None]

    #: True when the decoded output was compared with the input and holds exactly its samples; absent when not asked.
    bit_exact: NotRequired[bool | None]

    #: Level that was asked for.
    target: NotRequired[LevelTarget | None]

    #: Gain that was applied before the limiter, in dB.
    gain_db: float

    #: Ceiling that the limiter was given, in dBTP; lower than the target's where the codec overshoots.
    limiter_ceiling_dbtp: NotRequired[float | None]

    #: Times the file was encoded until it met the target.
    attempts: int

    #: The decoded output, measured.
    after: NotRequired[Loudness | None]

    #: True when the level target is met within its tolerance; absent when none was given or verify is off.
    target_met: NotRequired[bool | None]

    #: Why the target is not met.
    target_reason: NotRequired[str | None]

    #: Checks of the recipe.
    checks: list[CheckResult]

    #: Tags and such that could not be kept.
    losses: list[Loss]


class Timing(TypedDict):
    """Wall time of a run."""

    #: Decoding, filtering, measuring, in seconds.
    analyse_s: float

    #: Finding the gain, in seconds, all outputs.
    solve_s: float

    #: Limiting and encoding, in seconds, all outputs.
    encode_s: float

    #: Verifying, in seconds, all outputs.
    verify_s: float

    #: Everything, in seconds.
    total_s: float

    #: Seconds of input per second of wall time.
    realtime_factor: float


class Report(TypedDict):
    """What a run did, with proof."""

    #: Version of this record's layout.
    report_version: int

    #: Version of the library.
    engine_version: str

    #: Name of the preset, when one was used.
    preset: NotRequired[str | None]

    #: The input as decoded; its duration is exact now.
    input: StreamInfo

    #: BLAKE3 of the decoded input samples (after trimming), as they entered the filters; for bit-exact runs only.
    input_pcm_blake3: NotRequired[str | None]

    #: What was wrong with the input and survived.
    damage: Damage

    #: What was done, in order.
    steps: list[Step]

    #: What filters found or did, such as the cuts of `cut_silence`.
    findings: NotRequired[list[Finding]]

    #: The input, measured.
    before: NotRequired[Loudness | None]

    #: After the filters, before gain and limiter.
    filtered: NotRequired[Loudness | None]

    #: The outputs.
    outputs: list[OutputReport]

    #: Time spent; of a report from the cache, by the run that made it.
    timing: Timing

    #: True when nothing was processed: outputs and report are those of an earlier run, from the cache. Default false.
    from_cache: NotRequired[bool]


class Preset(TypedDict):
    """A preset as it stands in its file, after inheritance."""

    #: Layout of the file: 1, or 0 (the default in a file) for one that may lack `version`, `category` and
    #: `description`. Older layouts are
    #: brought up to date when they are read.
    layout: NotRequired[int]

    #: Name, snake_case, unique.
    name: str

    #: Raised when the sound or the numbers change.
    version: int

    #: `speech`, `music`, `broadcast`, ...
    category: str

    #: What it is for, in a sentence or two.
    description: str

    #: Preset whose values hold where this one says nothing.
    inherits: NotRequired[str | None]

    #: Where each number comes from: path of the value, then the source.
    sources: NotRequired[dict[str, str]]

    #: The recipe.
    recipe: Recipe


#: What an input can be.
InputType = Literal['file', 'files', 'folder', 'text', 'number', 'bool']


class WorkflowInput(TypedDict):
    """Something that a run is given."""

    #: What it is.
    type: InputType

    #: What it is for, in a sentence.
    description: NotRequired[str]

    #: What it is when it is not given. Without: it must be given.
    default: NotRequired[Any]


class StepRetry(TypedDict, total=False):
    """How often a step is tried. Failures that cannot pass, such as an input that is no audio, are not tried again."""

    #: Tries, with the first one: 1 to 1000. Default 3.
    attempts: int

    #: Workers that may vanish over it before it has failed: 1 to 1000. Default 3.
    crashes: int

    #: Pause before the second try in milliseconds; each further one is twice as long. Half of each is random. Default
    #: 2000.
    base_ms: int

    #: Longest pause in milliseconds. Default 900,000.
    max_ms: int


#: What follows from the failure of a step.
OnFailure = Literal['fail', 'continue', 'compensate']


#: Paths: one, or many.
FileList = (
    str
    | list[str]
)


class UndoActionRemove(TypedDict):
    """Removes files. One that is not there is no error."""

    type: Literal['remove']

    #: The files; no patterns.
    files: FileList


class UndoActionNotify(TypedDict):
    """Tells the event bus."""

    type: Literal['notify']

    #: The message.
    message: str

    #: Anything else for those who listen.
    data: NotRequired[Any]

    #: URL that gets the notice as JSON, by HTTP POST. It has to be among those that the host allows. Default: none.
    webhook: NotRequired[str | None]


UndoActionCustom = TypedDict('UndoActionCustom', {
    'type': "Literal['custom']",
    'action': 'str',
    'with': 'NotRequired[Any]',
})


#: What takes the effect of a step back. It may use the results of that step and of those before it.
UndoAction = (
    UndoActionRemove
    | UndoActionNotify
    | UndoActionCustom
)


class WorkflowStep(TypedDict):
    """One step."""

    #: Name: lower-case letters, digits and `_`, beginning with a letter; unique in the workflow. Others use its result
    #: as
    #: `${steps.ID.FIELD}`.
    id: str

    #: Steps that have to be over first, beside those whose results are used.
    after: NotRequired[list[str]]

    #: How often it is tried.
    retry: NotRequired[StepRetry]

    #: Longest time of one try in seconds, 0.001 to 2,592,000. Default: as long as it takes.
    timeout_s: NotRequired[float | None]

    #: What follows when it fails.
    on_failure: NotRequired[OnFailure]

    #: What takes its effect back, when a step with `on_failure: compensate` fails later.
    undo: NotRequired[UndoAction | None]


class Workflow(TypedDict):
    """Steps that depend on each other, without a circle."""

    #: Name: lower-case letters, digits and `_`, beginning with a letter.
    name: str

    #: Raised when the steps change. Default 1.
    version: NotRequired[int]

    #: What it is for, in a sentence or two.
    description: NotRequired[str]

    #: What a run is given, by name: `${inputs.NAME}`.
    inputs: NotRequired[dict[str, WorkflowInput]]

    #: The steps. Their order says nothing: a step waits for those whose results it uses, and for those that `after`
    #: names.
    steps: list[WorkflowStep]


class Submission(TypedDict, total=False):
    """Recordings to be processed, and how these jobs are to be treated."""

    #: What to do, a job each: requests as for processing, with an input and at least one output that are paths.
    #: Relative ones are taken from
    #: the current folder now. Presets are written out now: one that changes later does not change the job.
    requests: list[Any]

    #: Name of the batch for people. Several requests always make a batch.
    batch: str | None

    #: Queue. Default: `default`.
    queue: str | None

    #: On whose behalf.
    tenant: str | None

    #: -100 to 100; more goes first. Default 0.
    priority: int

    #: Not before this time, in milliseconds since 1970-01-01 UTC. Default: at once.
    run_at_ms: int | None

    #: At most one job that is not over has this key; asking again answers the one that is there. With several requests
    #: the path of the
    #: first output is added to it.
    unique_key: str | None

    #: Put this request in place of one of the same key that still waits.
    replace: bool

    #: Failures that make it dead, 1 to 1000. Default: `jobs.max_attempts` of the configuration.
    max_attempts: int | None

    #: Longest run of one try in milliseconds; more is a failure.
    timeout_run_ms: int | None

    #: Longest time from being submitted to its end in milliseconds; then it is dead.
    timeout_total_ms: int | None


JobId = str


class Enqueued(TypedDict):
    """What became of a request."""

    #: The job; with `duplicate`, the one that was there.
    id: JobId

    #: There was a job with this unique key, and it counts.
    duplicate: bool

    #: It waited, and has the new request now.
    replaced: bool


class Submitted(TypedDict):
    """What became of a submission."""

    #: The batch, when it is one.
    batch: NotRequired[JobId | None]

    #: A job for each request, in their order.
    jobs: list[Enqueued]


class Unique(TypedDict, total=False):
    """At most one job with this key at a time."""

    #: The key.
    key: str

    #: A job that succeeded less than so many milliseconds ago counts, too.
    window_ms: int | None

    #: Put the new request in place of one that still waits. Default: the old one stays.
    replace: bool


class Backoff(TypedDict, total=False):
    """Pauses between tries: `base_ms`, then twice as long each time, up to `max_ms`. Half of each pause is random."""

    #: First pause in milliseconds.
    base_ms: int

    #: Longest pause in milliseconds.
    max_ms: int


class JobSpec(TypedDict, total=False):
    """What is wanted."""

    #: Which handler does it, such as `process`.
    kind: str

    #: What the handler gets. At most 1 MiB as JSON.
    payload: Any

    #: Queue. Default: `default`.
    queue: str

    #: On whose behalf.
    tenant: str | None

    #: -100 to 100; more goes first. Default 0.
    priority: int

    #: Not before this time, in milliseconds since 1970-01-01 UTC. Default: at once.
    run_at_ms: int | None

    #: At most one of these.
    unique: Unique | None

    #: The batch that it belongs to. Set by the store.
    batch: JobId | None

    #: Failures that make it dead, 1 to 1000. Default 5.
    max_attempts: int

    #: Workers that may vanish over it before it is dead, 1 to 1000. Default 3.
    max_crashes: int

    #: Pauses between tries.
    backoff: Backoff

    #: Longest wait for a worker, in milliseconds since it could have started; then it is dead.
    timeout_queue_ms: int | None

    #: Longest run of one try, in milliseconds; more is a failure.
    timeout_run_ms: int | None

    #: Longest time from being enqueued to its end, in milliseconds; then it is dead.
    timeout_total_ms: int | None


#: Where a job stands.
#: ```text
#: scheduled -> available -> running -> publishing -> succeeded
#: ^            |           |           |
#: +- retry ----+-----------+-----------+-------> cancelled | dead
#: ```
JobState = Literal['scheduled', 'available', 'running', 'publishing', 'succeeded', 'cancelled', 'dead']


class Holder(TypedDict):
    """Who has a job, and for how long."""

    #: Name of the worker.
    worker: str

    #: When it got it, in milliseconds since 1970-01-01 UTC.
    since_ms: int


class FailureClassRetryAfter(TypedDict):
    """May succeed after so many milliseconds, not before."""

    retry_after: int


#: What follows from a failure.
FailureClass = (
    Literal['transient', 'permanent', 'cancelled']
    | FailureClassRetryAfter
)


JobError = TypedDict('JobError', {
    'class': 'FailureClass',
    'code': 'int',
    'name': 'str',
    'message': 'str',
})


class Published(TypedDict):
    """A file that a job gave its name."""

    #: Where it is.
    path: str

    #: Its length in bytes.
    bytes: int

    #: BLAKE3 of its content, in hexadecimal.
    blake3: str


class Job(TypedDict):
    """A request together with how far it is."""

    #: Its name.
    id: JobId

    #: What is wanted.
    spec: JobSpec

    #: Where it stands.
    state: JobState

    #: When it was enqueued; all times are in milliseconds since 1970-01-01 UTC.
    created_ms: int

    #: Not before this time.
    run_at_ms: int

    #: Dead when no worker took it until then.
    start_by_ms: NotRequired[int | None]

    #: Dead when it is not over by then.
    deadline_ms: NotRequired[int | None]

    #: When it came to its end.
    finished_ms: NotRequired[int | None]

    #: How often a worker took it; the number of the current try.
    claims: int

    #: Tries that ended with an error.
    attempts: int

    #: Tries whose worker vanished.
    crashes: int

    #: Part of the current try that is done, 0 to 1; never falls within a try.
    progress: float

    #: Who has it.
    holder: NotRequired[Holder | None]

    #: Why it should stop, when somebody asked for that while it ran.
    cancel: NotRequired[str | None]

    #: The last failure.
    error: NotRequired[JobError | None]

    #: Files that it gave, or was about to give, their names.
    published: list[Published]

    #: What its handler returned.
    result: NotRequired[Any]


class JobFilter(TypedDict, total=False):
    """Which jobs to list."""

    #: In these states; none means all.
    states: list[JobState]

    #: In this queue.
    queue: str | None

    #: Of this kind.
    kind: str | None

    #: Of this tenant.
    tenant: str | None

    #: Of this batch.
    batch: JobId | None

    #: With this unique key.
    unique_key: str | None

    #: After this job, for the next page.
    after: JobId | None

    #: At most so many; 0 means 100.
    limit: int


HistoryEntry = TypedDict('HistoryEntry', {
    'time_ms': 'int',
    'from': 'NotRequired[JobState | None]',
    'to': 'JobState',
    'claim': 'int',
    'why': 'NotRequired[str | None]',
})


class Batch(TypedDict):
    """Jobs that belong together."""

    #: Its name for programs.
    id: JobId

    #: Its name for people.
    name: str

    #: What came with it.
    data: Any

    #: When it was made, in milliseconds since 1970-01-01 UTC.
    created_ms: int

    #: How many of its jobs are in which state.
    states: dict[str, int]


class Stats(TypedDict):
    """How many jobs there are, where."""

    #: By state.
    states: dict[str, int]

    #: By queue and state.
    queues: dict[str, dict[str, int]]

    #: How long the oldest of those that could run has waited, in milliseconds.
    oldest_ms: NotRequired[int | None]


class WorkOptions(TypedDict, total=False):
    """How threads of this process work."""

    #: Jobs at the same time, 0 to 1024; 0 is one per core. Default: `jobs.workers` of the configuration.
    workers: int | None

    #: Queues to serve; none means all.
    queues: list[str]

    #: Name to be known by. Default: `worker-` and the number of the process.
    name: str | None


#: What a filter is for.
Category = Literal['level', 'tone', 'dynamics', 'restoration', 'time', 'space', 'effects', 'routing']


#: Type of a parameter.
ParamKind = Literal['number', 'integer', 'boolean', 'choice', 'layout', 'matrix', 'list', 'text']


class ParamInfo(TypedDict):
    """One parameter of a filter, for help and generated user interfaces."""

    #: Name, ending in the unit.
    name: str

    #: Type.
    kind: ParamKind

    #: Unit for display; empty when there is none.
    unit: str

    #: Smallest allowed value of numbers.
    min: NotRequired[float | None]

    #: Largest allowed value of numbers.
    max: NotRequired[float | None]

    #: Allowed values of choices.
    choices: list[str]

    #: True when it can change while the filter runs: set by a host, or given as a curve.
    live: bool

    #: Value when it is not given.
    default: Any

    #: What it does, in a sentence.
    summary: str


class FilterInfo(TypedDict):
    """One filter."""

    #: Name in recipes.
    name: str

    #: Name of the module, and of the file in `core/src/filters`, where its maths and their sources are.
    module: str

    #: What it is for.
    category: Category

    #: False for filters that are for files only.
    realtime: bool

    #: What it does.
    summary: str

    #: Parameters in order.
    parameters: list[ParamInfo]


class Field(TypedDict):
    """One text field with all its values."""

    #: Canonical snake_case name for the well-known ones (`title`, `artist`, `album_artist`, `track`, ...), else the
    #: source's own name.
    key: str

    #: Values in order; several for multi-value fields.
    values: list[str]


class Picture(TypedDict):
    """An embedded picture."""

    #: ID3v2 APIC / FLAC picture type: 3 is the front cover.
    kind: int

    #: Such as `image/jpeg`.
    mime: str

    #: Free text.
    description: str

    #: The encoded picture. Not in JSON: its length is.
    bytes: int


class Chapter(TypedDict):
    """A chapter."""

    #: Start in seconds.
    start_s: float

    #: End in seconds, when the file states it.
    end_s: NotRequired[float | None]

    #: Title, may be empty.
    title: str


class NativeItem(TypedDict):
    """A block of metadata that is kept as it is."""

    #: Where it is from: `bext`, `ixml`, `id3:PRIV`, ...
    kind: str

    #: Its bytes. Not in JSON: its length is.
    bytes: int


class Metadata(TypedDict, total=False):
    """Everything beside the audio that a file tells."""

    #: Text fields in file order, each key once.
    fields: list[Field]

    #: Embedded pictures.
    pictures: list[Picture]

    #: Chapters by start time.
    chapters: list[Chapter]

    #: What has no common form and is kept as bytes: BWF `bext`, `iXML`, private frames.
    native: list[NativeItem]


class MediaInfo(TypedDict):
    """All that `probe` tells."""

    #: The audio stream.
    stream: StreamInfo

    #: Size of the input in bytes, when known.
    bytes: NotRequired[int | None]

    #: Tags, pictures, chapters.
    metadata: Metadata

    #: What is already known to be wrong.
    damage: Damage


#: The verdicts that can be given.
VerdictName = Literal['non_finite', 'silent', 'clipping', 'dc_offset', 'hum', 'noise', 'clicks', 'discontinuities', 'drop_outs', 'starts_cut', 'ends_cut', 'narrow_band', 'lossy_origin', 'upsampled', 'fake_bit_depth', 'phase_inverted', 'mono_incompatible', 'false_stereo', 'channel_imbalance', 'silent_channel', 'silence_at_start', 'silence_at_end', 'low_dynamic_range', 'reverberant']


#: How much a verdict matters.
Severity = Literal['info', 'warning', 'error']


class Span(TypedDict):
    """A stretch of time."""

    #: Begin in seconds.
    start_s: float

    #: End in seconds.
    end_s: float

    #: Channel, from 0; none: all.
    channel: NotRequired[int | None]


class Verdict(TypedDict):
    """One verdict with its evidence."""

    #: What was found.
    name: VerdictName

    #: How much it matters.
    severity: Severity

    #: The measured value.
    value: float

    #: The value from which the verdict is given.
    threshold: float

    #: Unit of both.
    unit: str

    #: One sentence: what was measured and what it means.
    explanation: str

    #: Where, in order of time; at most `MAX_SPANS`. Empty: everywhere.
    times: list[Span]

    #: How often it was found, also what `times` has no room for.
    occurrences: int


#: A codec that leaves a mark.
LossyCodec = Literal['mp3', 'aac', 'vorbis']


class Measurements(TypedDict):
    """What was measured. A value that the recording is too short, too quiet or has too few channels for is none."""

    #: Length in seconds.
    duration_s: float

    #: Mean of each channel, in full scale.
    dc_offset: list[float]

    #: RMS of each channel in dBFS; a full-scale sine reads -3.01. None: silence.
    rms_dbfs: list[float | None]

    #: Bits that the samples use; none when they are no integers of up to 32 bits.
    effective_bits: NotRequired[int | None]

    #: Level of the quietest tenth of the frames that are not digital silence, in dBFS.
    noise_floor_dbfs: NotRequired[float | None]

    #: The louder half of the frames against the noise, in dB: that of the pauses when the floor sounds like noise, else
    #: that which stands
    #: still in some bands while the sound goes on; none when neither is there.
    snr_db: NotRequired[float | None]

    #: Spectral flatness of that floor within narrow bands, 0 to 1: 0.56 for white noise, near 0 for notes.
    floor_flatness: NotRequired[float | None]

    #: Time in which sound dies away by 60 dB, in seconds, 0.1 to 3: the reverberation of the room, estimated from the
    #: decays of the sound
    #: itself. Dry speech has 0.1 to 0.5; music has that of its notes as well. None: too few decays, or noise less than
    #: 26 dB below the sound.
    reverberation_s: NotRequired[float | None]

    #: Highest frequency with sound, in Hz.
    bandwidth_hz: NotRequired[float | None]

    #: Height of the edge there, in dB; none when the spectrum fades.
    band_edge_db: NotRequired[float | None]

    #: Share of frames with an empty band below the edge, 0 to 1.
    spectral_holes: NotRequired[float | None]

    #: The codec whose mark the samples bear, `mp3`, `aac` or `vorbis`; none: none was found.
    lossy_codec: NotRequired[LossyCodec | None]

    #: Holes in the transform of that codec at the best offset of its frames against those at others: from 1.5 on a
    #: mark, below 1.3 usual
    #: without. None: too short, too soft, or a rate that is not looked at.
    lossy_score: NotRequired[float | None]

    #: Correlation of the two channels, -1 to 1.
    correlation: NotRequired[float | None]

    #: What the sound loses when the two channels are added, in dB: 0 for equal, 3 for unrelated ones.
    mono_loss_db: NotRequired[float | None]

    #: Level of the difference of the two channels against both, in dB. None: no difference, or not two channels.
    side_db: NotRequired[float | None]

    #: Base of the mains hum in Hz.
    hum_hz: NotRequired[float | None]

    #: Level of the mains hum in dBFS RMS.
    hum_dbfs: NotRequired[float | None]

    #: Silence before the sound, in seconds.
    silence_at_start_s: float

    #: Silence after the sound, in seconds.
    silence_at_end_s: float

    #: Dynamic range in dB, as of the TT meter.
    dr_db: NotRequired[float | None]

    #: True peak minus integrated loudness, in LU.
    plr_lu: NotRequired[float | None]

    #: Smallest peak to short-term loudness ratio, in LU.
    min_psr_lu: NotRequired[float | None]

    #: Sample peak minus RMS, in dB.
    crest_db: NotRequired[float | None]


#: What a sound is.
ContentClass = Literal['speech', 'music', 'speech_over_music', 'noise', 'silence', 'unknown']


ContentSegment = TypedDict('ContentSegment', {
    'start_s': 'float',
    'end_s': 'float',
    'class': 'ContentClass',
    'confidence': 'float',
})


class Segment(TypedDict):
    """A stretch of sound."""

    #: Beginning in seconds.
    start_s: float

    #: End in seconds.
    end_s: float


class SpeechQuality(TypedDict):
    """Estimates of mean opinion scores as of ITU-T P.835, 1 (bad) to 5 (excellent), by DNSMOS P.835: means over the
    windows that were heard.
    """

    #: Of the speech itself: little or much distortion.
    signal_mos: float

    #: Of what is behind it: 1 is intrusive, 5 is not noticed.
    background_mos: float

    #: Of both together.
    overall_mos: float

    #: Windows of 9 s that were heard.
    windows: int


Content = TypedDict('Content', {
    'class': 'ContentClass',
    'confidence': 'float',
    'speech_ratio': 'float',
    'music_ratio': 'float',
    'noise_ratio': 'float',
    'silence_ratio': 'float',
    'segments': 'list[ContentSegment]',
    'voice': 'list[Segment]',
    'speech_quality': 'NotRequired[SpeechQuality | None]',
})


class QualityReport(TypedDict):
    """What `QualityAnalyser` finds."""

    #: Rate and layout of what was looked at.
    spec: Spec

    #: The verdicts, the worst first. Empty: nothing was found.
    verdicts: list[Verdict]

    #: The figures.
    measurements: Measurements

    #: Loudness, range, peaks.
    loudness: Loudness

    #: Speech, music, noise, when asked for.
    content: NotRequired[Content | None]


#: What a rule looks at.
Measured = Literal['integrated_lufs', 'true_peak_dbtp', 'sample_peak_dbfs', 'rms_dbfs', 'noise_floor_dbfs', 'range_lu', 'max_momentary_lufs', 'max_short_term_lufs', 'silence_at_start_s', 'silence_at_end_s', 'duration_s', 'rate_hz', 'faults']


class RuleResult(TypedDict):
    """How one rule came out."""

    #: What was looked at.
    quantity: Measured

    #: Whether the value lies in the range.
    passed: bool

    #: The measured value; none: minus infinity, that of silence.
    value: NotRequired[float | None]

    #: Smallest allowed value; none: no limit.
    min: NotRequired[float | None]

    #: Largest allowed value; none: no limit.
    max: NotRequired[float | None]

    #: Where the rule stands.
    source: str

    #: One sentence, when it failed.
    reason: NotRequired[str | None]

    #: Where it failed, when it did at certain places.
    times: list[Span]


class DeliveryResult(TypedDict):
    """How a specification came out."""

    #: Short name.
    specification: str

    #: Name and edition of the document.
    title: str

    #: Whether all rules hold.
    passed: bool

    #: All rules in order.
    rules: list[RuleResult]

    #: What the specification asks for beyond what is measured here; empty: nothing.
    not_measured: str


class CheckReport(TypedDict):
    """What `Engine::check` finds."""

    #: Whether all specifications that were asked for hold; true when none was.
    passed: bool

    #: Faults and figures.
    quality: QualityReport

    #: How each specification came out.
    delivery: list[DeliveryResult]


class MelParams(TypedDict, total=False):
    """Parameters of the mel bands. Defaults as librosa's."""

    #: Number of bands. 1 to 512, default 128.
    n_mels: int

    #: Lower end of the lowest band in Hz. Default 0.
    fmin: float

    #: Upper end of the highest band in Hz. Default: half the sample rate.
    fmax: float | None

    #: HTK's scale instead of Slaney's. Default false.
    htk: bool

    #: Whether each triangle has the area 1 (`norm="slaney"`) instead of the height 1 (`norm=None`). Default true.
    norm: bool


class CqtParams(TypedDict, total=False):
    """Bands of the constant-Q transform. Defaults as librosa's."""

    #: Middle of the lowest band in Hz. 10 to 2000, default 32.703 (C1).
    fmin: float

    #: Number of bands. 1 to 1024, default 84; octaves that reach beyond half the rate are left out.
    n_bins: int

    #: Bands per octave. 6 to 96, default 12.
    bins_per_octave: int


class YinParams(TypedDict, total=False):
    """Parameters of the pitch."""

    #: Lowest pitch in Hz. Default 65 (C2).
    fmin: float

    #: Highest pitch in Hz. Default 2000, or a quarter of the sample rate when that is less.
    fmax: float

    #: How deep a trough counts without looking for the deepest. 0.01 to 1, default 0.1.
    trough_threshold: float


class FeatureParams(TypedDict, total=False):
    """Parameters of the features, named and defaulted as librosa's."""

    #: Samples of a frame. 64 to 65536. Default 2048 up to 64 kHz, and twice as many per doubling of the rate above.
    n_fft: int | None

    #: Samples from frame to frame. Default a quarter of `n_fft`.
    hop_length: int | None

    #: Samples of the window in the middle of the frame. Default `n_fft`.
    win_length: int | None

    #: Whether frame `t` has its middle at `t * hop_length` (with zeros before and after the recording). Default true.
    center: bool

    #: Mel bands, also of the cepstrum and the onset strength.
    mel: MelParams

    #: Number of cepstral coefficients. 1 to `n_mels`, default 20.
    n_mfcc: int

    #: Levels in dB are cut this far under the loudest. 20 to 200 dB, default 80.
    top_db: float

    #: Share of the magnitude below the roll-off. 0.01 to 0.99, default 0.85.
    roll_percent: float

    #: Upper end of the lowest band of the contrast in Hz. 20 to 1000, default 200.
    contrast_fmin: float

    #: Octaves of the contrast above the lowest band. 1 to 10, default 6; those above half the rate are left out.
    n_bands: int

    #: Tuning of the chroma and the constant-Q transform in semitones from A4 = 440 Hz. -0.5 to 0.5, default 0.
    tuning: float

    #: Bands of the constant-Q transform; without, there is none. Needs `center`.
    cqt: CqtParams | None

    #: Whether chroma are also made from a constant-Q transform of 36 bands per octave over the seven octaves from C1
    #: on, which costs
    #: more than half as much as everything else. Needs `center`. Default false.
    chroma_cqt: bool

    #: Whether what rings and what strikes are told apart. Default false.
    hpss: bool

    #: Whether the pitch is followed, which costs as much as everything else. Default true.
    pitch: bool

    #: Parameters of the pitch. Its `fmin` is raised where two periods do not fit a frame.
    yin: YinParams


class TempoParams(TypedDict, total=False):
    """Parameters of the tempo. Defaults as librosa's."""

    #: The most usual tempo in beats per minute. 30 to 300, default 120.
    start_bpm: float

    #: Spread of usual tempos in octaves. 0.1 to 10, default 1.
    std_bpm: float

    #: Length of a window in seconds. 2 to 30, default 8.
    ac_size_s: float

    #: Largest tempo in beats per minute. 60 to 600, default 320.
    max_tempo_bpm: float


#: How strong the pitch classes of a key are, from its tonic on.
KeyProfile = Literal['krumhansl_kessler', 'temperley']


class ActivityParams(TypedDict, total=False):
    """Parameters of activity."""

    #: RMS below which 10 ms are silent, in dBFS (a full-scale sine reads -3.01). -120 to 0, default -60.
    threshold_dbfs: float

    #: Shorter silences are part of the sound around them, in seconds. 0 to 60, default 0.3.
    min_silence_s: float

    #: Shorter sounds are part of the silence around them, in seconds. 0 to 60, default 0.05.
    min_sound_s: float


class ContentParams(TypedDict, total=False):
    """Parameters of the classifier."""

    #: RMS of a second below which noise counts as silence, in dBFS (a full-scale sine reads -3.01). -80 to 0, default
    #: -60.
    silence_dbfs: float

    #: Confidence below which the answer is `unknown`. 0 to 1, default 0.4.
    unknown_below: float

    #: Estimate what listeners would say of the speech, by DNSMOS P.835, at half a second of work for each of up to 8
    #: windows; needs a build
    #: with the feature `ml`. Default false.
    speech_quality: bool


class PeakParams(TypedDict, total=False):
    """Parameters of peaks."""

    #: Frames per pixel. 2 to 1048576, default 256.
    samples_per_pixel: int

    #: Whether all channels are mixed to one. Default false.
    mono: bool

    #: When there would be more pixels, two become one and `samples_per_pixel` doubles. At least 2; default: no limit.
    max_pixels: int | None


class FingerprintParams(TypedDict, total=False):
    """What a fingerprint is made of."""

    #: Only the beginning counts, of so many seconds. 5 to 3600, default 120, which AcoustID expects.
    length_s: float


class AnalysisParams(TypedDict, total=False):
    """What an analysis is to find, and how."""

    #: Features, pitch among them.
    features: FeatureParams

    #: Tempo and beats.
    tempo: TempoParams

    #: Profiles that keys are compared with.
    key_profile: KeyProfile

    #: Sound and silence.
    activity: ActivityParams

    #: Speech, music, noise; without, they are not told apart.
    content: ContentParams | None

    #: Waveform peaks; without, there are none.
    peaks: PeakParams | None

    #: Acoustic fingerprint; without, there is none.
    fingerprint: FingerprintParams | None

    #: Whether features are given over time as well. Takes about 0.8 kB of memory per frame. Default false.
    series: bool


class Summary(TypedDict):
    """A series in a few numbers. `mean` and `std` are exact; percentiles within 0.2 % of their value."""

    #: Mean.
    mean: float

    #: Standard deviation (of the population).
    std: float

    #: Smallest value.
    min: float

    #: Largest value.
    max: float

    #: 5th percentile.
    p05: float

    #: 25th percentile.
    p25: float

    #: Median.
    p50: float

    #: 75th percentile.
    p75: float

    #: 95th percentile.
    p95: float


class VectorSummary(TypedDict):
    """Mean and standard deviation of a vector, per element."""

    #: Mean of each element.
    mean: list[float]

    #: Standard deviation of each element.
    std: list[float]


class FeatureSummary(TypedDict):
    """Features of a whole recording in a few numbers each."""

    #: Number of frames.
    frames: int

    #: Frames per second.
    frame_rate_hz: float

    #: Spectral centroid in Hz.
    centroid_hz: Summary

    #: Spectral bandwidth in Hz: deviation from the centroid.
    bandwidth_hz: Summary

    #: Spectral roll-off in Hz: 85 % of the magnitude lies below.
    rolloff_hz: Summary

    #: Spectral flatness, 0 to 1.
    flatness: Summary

    #: Spectral flux: distance to the spectrum before, in units of magnitude.
    flux: Summary

    #: Spectral slope in 1/Hz.
    slope: Summary

    #: Spectral crest: largest by mean power.
    crest: Summary

    #: Spectral entropy, 0 to 1.
    entropy: Summary

    #: Zero-crossing rate: sign changes per sample.
    zero_crossing_rate: Summary

    #: RMS of the mono mix, 1.0 being full scale.
    rms: Summary

    #: Onset strength in dB per frame.
    onset_strength: Summary

    #: Mel bands in dB (power 1 is 0 dB), floor `top_db` below the loudest.
    mel_db: VectorSummary

    #: Mel-frequency cepstral coefficients.
    mfcc: VectorSummary

    #: Their first derivative per frame.
    mfcc_delta: VectorSummary

    #: Their second derivative per frame.
    mfcc_delta2: VectorSummary

    #: Pitch classes from C on, the strongest of a frame being 1.
    chroma: VectorSummary

    #: Spectral contrast in dB: below 200 Hz, then per octave.
    contrast_db: VectorSummary

    #: Magnitudes of the constant-Q transform, the lowest band first, when asked for.
    cqt: NotRequired[VectorSummary | None]

    #: Pitch classes from C on of a constant-Q transform, the strongest of a frame being 1, when asked for.
    chroma_cqt: NotRequired[VectorSummary | None]

    #: Share of the energy that rings instead of striking, 0 to 1, of the frames that are not silent, when asked for.
    harmonic_ratio: NotRequired[Summary | None]


class TempoCandidate(TypedDict):
    """A tempo and how strong it is."""

    #: Beats per minute.
    bpm: float

    #: Autocorrelation at its lag, weighted by how usual the tempo is, that of the best being 1.
    weight: float


class Tempo(TypedDict):
    """The tempo of a recording."""

    #: Beats per minute, refined between frames by a parabola.
    bpm: float

    #: 0 to 1: how far the autocorrelation at the beat lies above its mean over all lags.
    confidence: float

    #: Other tempos that the onsets allow, strongest first; half and double are among them when they are in range.
    rivals: list[TempoCandidate]


class Rhythm(TypedDict):
    """Onsets, tempo, beats."""

    #: Tempo; none when nothing repeats.
    tempo: NotRequired[Tempo | None]

    #: Times of the beats in seconds.
    beats_s: list[float]

    #: Times of the onsets in seconds.
    onsets_s: list[float]

    #: Onsets per second.
    onset_rate_hz: float


#: Major or minor.
Mode = Literal['major', 'minor']


class KeyCandidate(TypedDict):
    """A key and how well it fits."""

    #: Tonic: `C`, `C#`, ... `B`.
    tonic: str

    #: Major or minor.
    mode: Mode

    #: Correlation of the pitch classes with the profile of the key, -1 to 1.
    correlation: float


class Key(TypedDict):
    """The key of a recording."""

    #: Tonic: `C`, `C#`, ... `B`.
    tonic: str

    #: Major or minor.
    mode: Mode

    #: Correlation of the pitch classes with the profile of the key, -1 to 1.
    correlation: float

    #: 0 to 1: the correlation of the best key by how far it is ahead, `r1 (1 - exp(-(r1 - r2) / 0.1))`. Music in one
    #: key is above 0.3.
    confidence: float

    #: The next best, best first.
    rivals: list[KeyCandidate]


class PitchSummary(TypedDict):
    """Pitch over a recording."""

    #: Share of the frames with a pitch, 0 to 1.
    voiced_ratio: float

    #: Fundamental frequency of those frames in Hz; all 0 without any.
    f0_hz: Summary


class Tonal(TypedDict):
    """Tuning, key, pitch."""

    #: Distance to A4 = 440 Hz in semitones, -0.5 to 0.49.
    tuning_semitones: float

    #: Key; none when no pitch class stands out.
    key: NotRequired[Key | None]

    #: Strength of the pitch classes from C on; they add up to 1, or are all 0.
    pitch_classes: list[float]

    #: Pitch; none when it was not followed.
    pitch: NotRequired[PitchSummary | None]


class Activity(TypedDict):
    """Sound and silence of a recording."""

    #: Share of the time with sound, 0 to 1.
    active_ratio: float

    #: Silence before the first sound in seconds: the whole duration without any.
    leading_silence_s: float

    #: Silence after the last sound in seconds.
    trailing_silence_s: float

    #: Stretches with sound, in order.
    segments: list[Segment]


class Peaks(TypedDict):
    """Peaks of a recording. Samples are 16-bit: 1.0 is 32768, what is beyond -32768..=32767 is clipped."""

    #: Sample rate in Hz.
    rate_hz: int

    #: Frames per pixel; the last pixel may have less.
    samples_per_pixel: int

    #: Number of channels.
    channels: int

    #: Minimum and maximum of channel 0, of channel 1, ..., then the next pixel.
    data: list[int]


class Fingerprint(TypedDict):
    """What AcoustID is asked with, together with the duration of the recording."""

    #: Chromaprint's algorithm, counted from 1: 2.
    algorithm: int

    #: Duration of the whole recording in seconds.
    duration_s: float

    #: Compressed fingerprint in base64 for URLs, as `fpcalc` prints it. Recordings of less than 2.6 s have one without
    #: content.
    text: str


class Series(TypedDict):
    """Features over time: element `t` belongs to the time `t / frame_rate_hz`. Lists of lists are `bands x frames`."""

    #: Spectral centroid in Hz.
    centroid_hz: list[float]

    #: Spectral bandwidth in Hz: deviation from the centroid.
    bandwidth_hz: list[float]

    #: Spectral roll-off in Hz: 85 % of the magnitude lies below.
    rolloff_hz: list[float]

    #: Spectral flatness, 0 to 1.
    flatness: list[float]

    #: Spectral flux: distance to the spectrum before, in units of magnitude.
    flux: list[float]

    #: Spectral slope in 1/Hz.
    slope: list[float]

    #: Spectral crest: largest by mean power.
    crest: list[float]

    #: Spectral entropy, 0 to 1.
    entropy: list[float]

    #: Zero-crossing rate: sign changes per sample.
    zero_crossing_rate: list[float]

    #: RMS of the mono mix, 1.0 being full scale.
    rms: list[float]

    #: Onset strength.
    onset_strength: list[float]

    #: Power of the mel bands.
    mel: list[list[float]]

    #: Mel-frequency cepstral coefficients.
    mfcc: list[list[float]]

    #: Pitch classes from C on.
    chroma: list[list[float]]

    #: Spectral contrast in dB.
    contrast_db: list[list[float]]

    #: YIN's pitch in Hz, also of frames without a voice.
    yin_hz: list[float]

    #: Fundamental frequency in Hz; 0 for frames without a voice.
    f0_hz: list[float]

    #: Probability of a voice.
    voiced_probability: list[float]

    #: Magnitudes of the constant-Q transform, when asked for.
    cqt: NotRequired[list[list[float]]]

    #: Pitch classes from C on of a constant-Q transform, when asked for.
    chroma_cqt: NotRequired[list[list[float]]]

    #: Energy of what rings, when asked for: sum of the squared magnitudes.
    harmonic_energy: NotRequired[list[float]]

    #: Energy of what strikes, when asked for.
    percussive_energy: NotRequired[list[float]]

    #: Share of the energy that rings, when asked for; 0 for silence.
    harmonic_ratio: NotRequired[list[float]]


class Analysis(TypedDict):
    """What a recording is like."""

    #: Version of this record, 1: raised when a field changes its meaning or goes. New fields do not raise it.
    analysis_version: int

    #: Rate and layout.
    spec: Spec

    #: Frames (samples per channel).
    frames: int

    #: Duration in seconds.
    duration_s: float

    #: How this was found.
    params: AnalysisParams

    #: Loudness, true peak, levels.
    loudness: Loudness

    #: Features in a few numbers each.
    features: FeatureSummary

    #: Onsets, tempo, beats.
    rhythm: Rhythm

    #: Tuning, key, pitch.
    tonal: Tonal

    #: Sound and silence.
    activity: Activity

    #: Speech, music, noise, when asked for.
    content: NotRequired[Content | None]

    #: Waveform peaks, when asked for.
    waveform: NotRequired[Peaks | None]

    #: Acoustic fingerprint, when asked for.
    fingerprint: NotRequired[Fingerprint | None]

    #: Features over time, when asked for.
    series: NotRequired[Series | None]


class AnalyseOptions(TypedDict, total=False):
    """What `Engine::analyse` is to do."""

    #: How to read the input.
    read: ReadOptions

    #: What to find.
    analysis: AnalysisParams


class ClassifyOptions(TypedDict, total=False):
    """What `Engine::classify` is to do."""

    #: How to read the input.
    read: ReadOptions

    #: What counts as what.
    content: ContentParams


class CompareParams(TypedDict, total=False):
    """How two inputs are compared."""

    #: Whether to find out how much later one of both is, by their first 20 s, and to take that away. Default true.
    align: bool

    #: Largest offset that is looked for, in seconds. 0 to 60, default 5.
    max_offset_s: float

    #: Whether to give the degraded input the level of the reference before anything is measured. Default false.
    match_level: bool

    #: Whether to compare the means of the channels: for inputs with different numbers of them. Default false.
    mix_to_mono: bool


class ComparedInput(TypedDict):
    """One of the two inputs."""

    #: Rate and layout.
    spec: Spec

    #: Frames (samples per channel) at that rate.
    frames: int

    #: Duration in seconds.
    duration_s: float


class Alignment(TypedDict):
    """Where the two inputs lie against each other."""

    #: Whether an offset was found, which may be 0. Without one, both are compared from their beginnings.
    found: bool

    #: Frames of 48 kHz by which the degraded input is later; negative: earlier. That much of it (of the reference) was
    #: left out.
    offset_frames: int

    #: The same in seconds, to a fraction of a frame.
    offset_s: float

    #: Correlation of the waveforms at this offset, -1 to 1; 0 when none was found. Negative: the polarity is inverted.
    correlation: float


class Perceptual(TypedDict):
    """What a listener would notice, by the ear model of ITU-R BS.1387 (basic version). Figures of several channels
    are means over them,
    but for `adb` and `mfpd`, in which the channel counts where a difference is heard best.
    """

    #: Frames that were compared: 2048 samples at 48 kHz, every 1024.
    frames: int

    #: NMR (after BS.1387): noise against what the reference masks, in dB, mean over bands and frames. Below 0 it is
    #: hidden on average;
    #: -10 and less is usually transparent. -200: no noise.
    nmr_db: float

    #: RDF (after BS.1387): share of the frames in which a band has noise 1.5 dB over the mask, 0 to 1.
    disturbed_frames_ratio: float

    #: ADB (after BS.1387): `lg` of the mean number of just heard steps in frames that are probably heard. 0: there are
    #: none, or one step
    #: on average; about 3 at worst.
    adb: float

    #: MFPD (after BS.1387): highest probability that a difference is heard, smoothed over 0.2 s, 0 to 1.
    mfpd: float

    #: AvgModDiff1 (after BS.1387): difference of the modulation of loudness against that of the reference, in percent,
    #: from 0; about 100
    #: at worst. None: shorter than 0.6 s.
    avg_mod_diff1: NotRequired[float | None]

    #: AvgModDiff2 (after BS.1387): as `avg_mod_diff1`, more sensitive where the reference stands still; what is lost
    #: counts a tenth.
    avg_mod_diff2: NotRequired[float | None]

    #: WinModDiff1 (after BS.1387): as `avg_mod_diff1`, root mean square over windows of 100 ms.
    win_mod_diff1: NotRequired[float | None]

    #: BandwidthRef (after BS.1387) in Hz: how high the reference reaches over the floor of the degraded signal above
    #: 21.6 kHz. None: never
    #: above 8.1 kHz.
    bandwidth_reference_hz: NotRequired[float | None]

    #: BandwidthTest (after BS.1387) in Hz: how high the degraded signal does.
    bandwidth_degraded_hz: NotRequired[float | None]

    #: Score of the 2f-model, 0 to 100: a predicted mean MUSHRA score, by `adb` and `avg_mod_diff1`. Fitted to separated
    #: sources.
    two_f_score: NotRequired[float | None]


class Differences(TypedDict):
    """What `Comparer` finds. Ratios lie within -200 and 200 dB; 200 stands for no difference."""

    #: Frames (samples per channel) that were compared, at 48 kHz.
    frames: int

    #: Those in seconds.
    duration_s: float

    #: Whether no sample differs.
    identical: bool

    #: Level of the degraded signal against the reference, RMS of all channels, in dB. None: the reference is silent.
    level_difference_db: NotRequired[float | None]

    #: Correlation of the waveforms, -1 to 1; near -1 the polarity is inverted. None: one of both is silent.
    correlation: NotRequired[float | None]

    #: Signal to noise ratio in dB; the noise is the difference. None: the reference is silent.
    snr_db: NotRequired[float | None]

    #: Scale-invariant signal to distortion ratio in dB: the SNR after the best change of level, or polarity. None: one
    #: of both is silent.
    si_sdr_db: NotRequired[float | None]

    #: Mean SNR of segments of 21.3 ms, each within -10 and 35 dB; those whose reference is below -60 dBFS do not count.
    #: None: all are.
    segmental_snr_db: NotRequired[float | None]

    #: Log-spectral distance in dB, from 0: root mean square over frequency, mean over the frames that are above -60
    #: dBFS and the channels.
    #: None: all frames are below, or shorter than 43 ms.
    log_spectral_distance_db: NotRequired[float | None]

    #: What a listener would notice. None: shorter than 43 ms, or the reference is silent.
    perceptual: NotRequired[Perceptual | None]


class Comparison(TypedDict):
    """How far a recording lies off its reference."""

    #: Version of this record, 1: raised when a field changes its meaning or goes. New fields do not raise it.
    comparison_version: int

    #: How this was found.
    params: CompareParams

    #: What it is compared with.
    reference: ComparedInput

    #: What is compared.
    degraded: ComparedInput

    #: The offset; none: not looked for.
    alignment: NotRequired[Alignment | None]

    #: Gain in dB that the degraded input was given; none: not asked for, or nothing to go by.
    matched_db: NotRequired[float | None]

    #: The figures of what both have in common after that. The level difference is that before the gain.
    differences: Differences


class CompareOptions(TypedDict, total=False):
    """What `Engine::compare` is to do."""

    #: How to read both inputs.
    read: ReadOptions

    #: How to compare them.
    compare: CompareParams


#: How amplitudes lie along the vertical axis.
AmplitudeScale = Literal['linear', 'decibels']


#: A colour, written `#rrggbb` as on web pages.
Colour = str


class WaveformColours(TypedDict, total=False):
    """Colours of a waveform, `#rrggbb`."""

    #: Behind everything. Default `#ffffff`.
    background: Colour

    #: The waveform. Default `#1f6feb`.
    wave: Colour

    #: Columns that reach full scale, at their ends. Default `#d1242f`.
    clipped: Colour

    #: Axes and text. Default `#57606a`.
    axes: Colour


class WaveformOptions(TypedDict, total=False):
    """Options of a picture of the waveform."""

    #: How to read the input.
    read: ReadOptions

    #: Width of the picture in pixels. 16 to 16384, with axes from 200; default 1200.
    width: int

    #: Height of the picture in pixels. 16 to 4096, with axes from 80; default 300. Each channel needs 8.
    height: int

    #: Whether all channels are mixed to one; else each has its lane. Default false.
    mono: bool

    #: Vertical axis. Default `linear`.
    amplitude: AmplitudeScale

    #: Whether axes are drawn; without, the waveform fills the picture. Default true.
    axes: bool

    #: Colours.
    colours: WaveformColours


#: From level to colour.
ColourMap = Literal['magma', 'viridis', 'inferno', 'grey', 'paper']


#: How frequencies lie along an axis.
FrequencyScale = Literal['linear', 'log', 'mel']


class SpectrogramOptions(TypedDict, total=False):
    """Options of a spectrogram."""

    #: How to read the input.
    read: ReadOptions

    #: Width of the picture in pixels. 16 to 8192, with axes from 200; default 1200. While it is made it takes 8 bytes
    #: per pixel.
    width: int

    #: Height of the picture in pixels. 16 to 2048, with axes from 80; default 512.
    height: int

    #: Colours of the levels. Default `magma`.
    colours: ColourMap

    #: Level of the darkest colour in dBFS (a sine of full scale is 0). -200 to 39; default -110.
    min_db: float

    #: Level of the brightest colour in dBFS, from 1 above `min_db` to 40; default -10.
    max_db: float

    #: Vertical axis. Default `linear`.
    scale: FrequencyScale

    #: Lowest frequency in Hz, from 0 (with `log`: 1). Default 0, with `log` 20.
    min_hz: float | None

    #: Highest frequency in Hz, from 10 above the lowest to half the sample rate, which is the default; what is more is
    #: cut to that.
    max_hz: float | None

    #: Samples of a transform: 64 to 65536, a power of two. Larger ones tell frequencies apart, smaller ones times.
    #: Default: 2048 up to a
    #: rate of 64 kHz, twice as many per doubling above.
    fft_size: int | None

    #: Whether axes and the scale of colours are drawn; without, the spectrogram fills the picture. Default true.
    axes: bool


class PageOptions(TypedDict, total=False):
    """What is on a page."""

    #: How to read the input.
    read: ReadOptions

    #: Title; default: the name of the file.
    title: str | None

    #: What the analysis is to find; of no meaning for a page of two recordings.
    analysis: AnalysisParams

    #: Specifications to hold it against, by name; `all` stands for every one.
    specifications: list[str]

    #: Loudness in LUFS to draw a line at; default: those of `specifications`, and of the level target of a run. -70 to
    #: 0.
    target_lufs: float | None

    #: Vertical axis of the spectrogram. Default `linear`.
    scale: FrequencyScale


class AnalysisPage(TypedDict):
    """A page, and what stands on it as data."""

    #: The page.
    html: str

    #: What the recording is like.
    analysis: Analysis

    #: Faults, and how the specifications came out.
    check: CheckReport


#: What a recording is, as far as it matters here.
ContentHint = Literal['speech', 'music']


class RecommendOptions(TypedDict, total=False):
    """What `Engine::recommend` is to know."""

    #: How to read the input.
    read: ReadOptions

    #: What it is, when that is known; default: what is heard.
    content: ContentHint | None


#: What rules can look at.
Fact = Literal['channels', 'integrated_lufs', 'noise_floor_dbfs', 'floor_flatness', 'bandwidth_hz', 'side_db', 'dr_db', 'hum_dbfs', 'duration_s', 'snr_db', 'silence_at_start_s', 'silence_at_end_s', 'speech', 'music']


class SuggestionReason(TypedDict):
    """Why a preset was suggested."""

    #: What was looked at.
    fact: Fact

    #: What was measured.
    value: float

    #: What that counts.
    points: int

    #: What it means.
    because: str


class Suggestion(TypedDict):
    """A preset that may fit."""

    #: Its name.
    preset: str

    #: Sum of the points of its reasons.
    points: int

    #: Why.
    reasons: list[SuggestionReason]


class Evidence(TypedDict):
    """A measurement behind a recommendation."""

    #: Verdict or measurement, as in the report of quality.
    name: str

    #: What was measured.
    value: float

    #: From where on the rule holds.
    threshold: float

    #: Unit of both; empty: none.
    unit: str

    #: Where the threshold comes from.
    source: str


class RecommendedFilter(TypedDict):
    """A filter that mends something."""

    #: The filter with its parameters.
    filter: Filter

    #: The same as on a command line.
    text: str

    #: What it does.
    because: str

    #: What was measured.
    evidence: Evidence

    #: True when the preset does it already, so that it was not added.
    in_preset: bool


class RecommendedLayout(TypedDict):
    """One channel instead of two."""

    #: The channels.
    layout: ChannelLayout

    #: Why.
    because: str

    #: What was measured.
    evidence: Evidence


class RecommendedOutput(TypedDict):
    """Codec and bit rate."""

    #: The format that fits best.
    format: Format

    #: The settings to use when one of these formats is written.
    formats: list[Format]

    #: Why.
    because: str

    #: Where the figures come from.
    source: str

    #: Bandwidth in Hz that was looked at, when it could be measured.
    bandwidth_hz: NotRequired[float | None]


class Advice(TypedDict):
    """Something that no filter mends."""

    #: What was found.
    evidence: Evidence

    #: What it means: the explanation of the verdict.
    explanation: str

    #: What to do.
    what_to_do: str


class Recommendation(TypedDict):
    """What to do with a recording."""

    #: What it is: as the caller said, else as was heard, else as the preset is for; none when nothing speaks for
    #: either.
    content: NotRequired[ContentHint | None]

    #: The preset, with the facts that speak for it.
    preset: Suggestion

    #: Other presets that were possible, the best first.
    other_presets: list[Suggestion]

    #: How far the level is from what the preset asks for: `integrated_lufs`, with the target as threshold. None for
    #: silence.
    level: NotRequired[Evidence | None]

    #: Filters, in their order.
    filters: list[RecommendedFilter]

    #: Channels, when they should be others.
    layout: NotRequired[RecommendedLayout | None]

    #: Codec and bit rate.
    output: RecommendedOutput

    #: What has to be done by hand.
    advice: list[Advice]

    #: All of it as a recipe, without input and outputs.
    recipe: Recipe


class PeakOptions(TypedDict, total=False):
    """What `Engine::waveform_peaks` is to do."""

    #: How to read the input.
    read: ReadOptions

    #: Which peaks.
    peaks: PeakParams


#: How steep and how clean the low-pass is. Frequencies are fractions of the lower Nyquist frequency.
Quality = Literal['fast', 'good', 'best']


#: What a job is doing.
Stage = Literal['analyse', 'solve', 'encode', 'verify', 'publish']


class Progress(TypedDict):
    """State of a running job."""

    #: What is being done.
    stage: Stage

    #: Share of the whole job that is done, 0 to 1; never falls. Without a known duration: 0 until the end of a stage.
    fraction: float

    #: Seconds of audio handled per second of wall time in this stage.
    speed: float

    #: Estimated seconds until the end, when the duration is known.
    eta_s: NotRequired[float | None]


class EngineSettings(TypedDict, total=False):
    """Threads and folders."""

    #: Threads for CPU work; 0 is one per core. Results do not depend on it.
    threads: int

    #: Folder for temporary files; null is the system's.
    temp_dir: str | None

    #: Folders with presets in YAML, besides the built-in ones.
    preset_dirs: list[str]


class SpoolSettings(TypedDict, total=False):
    """Audio of a job between measuring and encoding."""

    #: Audio of one job that is kept in memory; more goes to a temporary file.
    memory_mib: int


class LimitSettings(TypedDict, total=False):
    """What one input may cost, unless a recipe says otherwise."""

    #: Largest input.
    max_bytes: int

    #: Longest audio.
    max_seconds: float

    #: Most channels.
    max_channels: int

    #: Highest sample rate.
    max_rate_hz: int

    #: Largest single allocation that a header may cause.
    max_alloc_bytes: int

    #: Longest time for reading one input; 0 is unlimited.
    max_wall_seconds: float


class EventSettings(TypedDict, total=False):
    """Sizes of the event bus."""

    #: Events that are kept for those who come late.
    history_events: int

    #: Memory for them.
    history_bytes: int

    #: Room of a subscriber for each priority, unless it says otherwise.
    lane_events: int

    #: Largest payload, as JSON.
    max_event_bytes: int

    #: How many publications from within handlers may follow from each other.
    max_depth: int

    #: Events that a subscriber failed at and that are kept for it.
    dead_letters: int

    #: Failures in a row that suspend a subscriber.
    suspend_after: int


class ResourceSettings(TypedDict, total=False):
    """What all jobs of an engine together may take. What does not fit waits."""

    #: Memory; 0 is no limit. Jobs keep less audio in memory when there is less than they could use.
    memory_mib: int

    #: Threads that work at once; 0 is no limit. A job takes one to about ten.
    worker_threads: int

    #: Files that are open at once; 0 is no limit.
    open_files: int

    #: Audio in temporary files; 0 is no limit.
    temp_disk_mib: int

    #: Part of each budget that the jobs of one tenant may take.
    tenant_share_percent: int

    #: Longest time that a job waits for its share; 0 is as long as it takes.
    max_wait_s: int


class RetrySettings(TypedDict, total=False):
    """Another try after a failure that may pass, such as a network folder that is away for a moment."""

    #: How often an operation is tried, with the first time.
    attempts: int

    #: Pause before the second try; each further one is twice as long. Half of every pause is random.
    base_ms: int

    #: Longest pause.
    max_ms: int


class JobSettings(TypedDict, total=False):
    """Jobs that outlive the program that asked for them, and their workers."""

    #: File that keeps the jobs; null is the one that the program has for the user.
    database: str | None

    #: PostgreSQL that keeps the jobs of several machines, instead of the file:
    #: postgres://USER:PASSWORD@HOST:PORT/DATABASE. Needs the feature
    #: `postgres`.
    postgres: str | None

    #: Folder that keeps the results of workflow steps, which all machines must share; null is one beside the file of
    #: jobs.
    results: str | None

    #: Do not wait for the disk: faster, and a power cut may take the last moments of what was promised.
    may_lose_last_ms: bool

    #: Jobs that one worker process does at the same time; 0 is one per core.
    workers: int

    #: How long a job stays with a worker that gives no sign of life. A worker gives three in that time.
    lease_ms: int

    #: How long a worker that was told to end may finish what it has in hand; then it is handed back.
    drain_s: int

    #: Failures after which a job is given up, unless it says otherwise.
    max_attempts: int

    #: Workers that may vanish over a job before it is given up, unless it says otherwise.
    max_crashes: int

    #: Waiting that is worth one step of priority, so that low priorities come to their turn; 0 is never.
    ageing_ms: int


class PresetSettings(TypedDict, total=False):
    """Presets that the user makes."""

    #: Folder where they are kept; null is none, and then none can be made. It need not be there.
    dir: str | None


class CacheSettings(TypedDict, total=False):
    """Results that are kept, so that the same work is not done twice. Without a folder, memory or Redis nothing is
    kept.
    """

    #: Folder for results, which only its owner may write to; null is none. It need not be there.
    dir: str | None

    #: Most that the folder holds; what was used longest ago goes first.
    max_mib: int

    #: Memory for results; 0 is none.
    memory_mib: int

    #: HOST:PORT of a Redis for results that machines share; null is none. Needs the feature `redis`.
    redis_host: str | None

    #: Password of that Redis.
    redis_password: str | None

    #: How long Redis keeps a result.
    redis_ttl_s: int

    #: Seals results in the folder and in Redis: who does not know it cannot put others in their place. Null is a
    #: checksum.
    secret: str | None


class Settings(TypedDict, total=False):
    """All settings of an engine."""

    #: Threads and folders.
    engine: EngineSettings

    #: Audio of a job between measuring and encoding.
    spool: SpoolSettings

    #: What one input may cost, unless a recipe says otherwise.
    limits: LimitSettings

    #: Sizes of the event bus.
    events: EventSettings

    #: What all jobs of an engine together may take. What does not fit waits.
    resources: ResourceSettings

    #: Another try after a failure that may pass, such as a network folder that is away for a moment.
    retry: RetrySettings

    #: Jobs that outlive the program that asked for them, and their workers.
    jobs: JobSettings

    #: Presets that the user makes.
    presets: PresetSettings

    #: Results that are kept, so that the same work is not done twice. Without a folder, memory or Redis nothing is
    #: kept.
    cache: CacheSettings


class Error(TypedDict):
    """An error as data."""

    #: Stable number.
    code: Literal[100, 101, 102, 200, 300, 301, 302, 303, 304, 400, 500, 600, 601, 700, 800, 801, 803, 804, 900, 901, 902, 1000, 1001]

    #: Stable name.
    name: Literal['NOT_AUDIO', 'EMPTY', 'MALFORMED', 'UNSUPPORTED', 'OUT_OF_RANGE', 'INVALID_VALUE', 'UNKNOWN_NAME', 'INVALID', 'INVALID_HANDLE', 'LIMIT_EXCEEDED', 'CANCELLED', 'IO', 'NOT_FOUND', 'DENIED', 'CONFLICT', 'WOULD_DEADLOCK', 'REENTRANT', 'BUSY', 'UNAVAILABLE', 'FULL', 'CLOSED', 'INTERNAL', 'PANIC']

    #: Coarse class.
    kind: Literal['input', 'unsupported', 'out_of_range', 'limit', 'cancelled', 'io', 'denied', 'conflict', 'unavailable', 'internal']

    #: The sentence.
    message: str

    #: Data by name, such as `name`, `value`, `min`, `max`, `path`.
    details: dict[str, Any]

    #: What led to it, nearest first.
    causes: list[str]


class JobProgress(TypedDict):
    """A queued job came further."""

    #: Identifier of the job.
    job: str

    #: Part done, 0 to 1; never goes back.
    fraction: float

    #: Expected time to the end, in seconds; none while unknown.
    remaining_s: NotRequired[float | None]


class WorkflowState(TypedDict):
    """A run of a workflow went to another state."""

    #: Identifier of the run.
    run: str

    #: Name of the workflow.
    workflow: str

    #: `running`, `stopping`, `undoing`, `succeeded`, `partial`, `failed`, `cancelled`.
    state: str

    #: Why, for `stopping`, `failed` and `cancelled`.
    reason: NotRequired[str | None]


class WorkflowStepState(TypedDict):
    """A step of a workflow went to another state."""

    #: Identifier of the run.
    run: str

    #: The step.
    step: str

    #: Number of its file in a `fan_out`, from 0.
    item: NotRequired[int | None]

    #: `running`, `succeeded`, `dead`, `cancelled`, `skipped`.
    state: str

    #: Which attempt, from 1; 0 before the first.
    attempt: int

    #: The error in words.
    error: NotRequired[str | None]


class WorkflowNotice(TypedDict):
    """What a step `notify` of a workflow says. After a crash it may be said again, with the same key."""

    #: Identifier of the run.
    run: str

    #: Name of the workflow.
    workflow: str

    #: The step.
    step: str

    #: Number of its file in a `fan_out`, from 0.
    item: NotRequired[int | None]

    #: Names this message for ever.
    key: str

    #: The message.
    message: str

    #: Anything else.
    data: Any


class ProcessStarted(TypedDict):
    """A run of a recipe began."""

    #: Identifier of the run.
    run: str

    #: Length of the input in seconds, when known.
    duration_s: NotRequired[float | None]

    #: Number of outputs.
    outputs: int


class ProcessStage(TypedDict):
    """A run of a recipe entered a stage or came further in it."""

    #: Identifier of the run.
    run: str

    #: `analyse`, `encode`, `verify`, ...
    stage: str

    #: Part of the whole run that is done, 0 to 1.
    fraction: float


#: How a run of a recipe ended.
Outcome = Literal['succeeded', 'failed', 'cancelled']


class ProcessFinished(TypedDict):
    """A run of a recipe ended."""

    #: Identifier of the run.
    run: str

    #: How.
    outcome: Outcome

    #: Code of the error, see `ErrorCode`.
    error_code: NotRequired[int | None]

    #: The error in words.
    error: NotRequired[str | None]

    #: Seconds of audio that were processed.
    audio_s: float

    #: Seconds that it took.
    wall_s: float


class RetryScheduled(TypedDict):
    """Something that failed is tried again."""

    #: Identifier of the run.
    run: str

    #: The attempt that comes, from 2.
    attempt: int

    #: Pause before it, in milliseconds.
    delay_ms: int

    #: Code of the error that made it necessary.
    error_code: int


class ConfigChange(TypedDict):
    """A key of the configuration that has another value than before."""

    #: Path of the key, such as `events.lane_events`.
    path: str

    #: Value before; none when there was none. Secrets read `***`.
    old: NotRequired[Any]

    #: Value now.
    new: NotRequired[Any]

    #: Where the new value comes from.
    origin: str


class ConfigChanged(TypedDict):
    """Another configuration holds."""

    #: Number of the generation that holds now.
    generation: int

    #: What differs from the one before.
    changes: list[ConfigChange]

    #: Keys whose new value holds after a restart only.
    restart: list[str]


class Problem(TypedDict):
    """One mistake of `Error::Invalid`."""

    #: Where it stands: `FILE:LINE:COLUMN`, the name of a variable, ...; empty when there is no place.
    place: str

    #: The key or part that is wrong, such as `events.lane_events`; empty for the whole.
    path: str

    #: What is wrong with it, and what is allowed.
    message: str


class ConfigRejected(TypedDict):
    """A configuration was refused; the one before still holds."""

    #: Number of the generation that still holds.
    generation: int

    #: All that is wrong.
    problems: list[Problem]


#: Whether a service works.
HealthStatus = Literal['pass', 'warn', 'fail']


class ServiceHealth(TypedDict):
    """The health of a service changed."""

    #: The service.
    service: str

    #: How it is.
    status: HealthStatus

    #: Why.
    note: NotRequired[str | None]


class ResourceWaiting(TypedDict):
    """Work waits because a budget is used up."""

    #: The budget: `memory`, `threads`, `files`, `temp_disk`.
    pool: str

    #: What is asked for, in the unit of the budget.
    wanted: int

    #: What is free.
    available: int

    #: How many wait, with this one.
    queue: int


class ResourceGranted(TypedDict):
    """Work got its share of a budget after it waited."""

    #: The budget.
    pool: str

    #: What it got.
    amount: int

    #: How long it waited, in milliseconds.
    waited_ms: int


class ResourceLeak(TypedDict):
    """A share of a budget was not given back."""

    #: The budget.
    pool: str

    #: What is missing.
    amount: int

    #: Who had it, by label.
    holders: dict[str, int]


class CheckAnswer(TypedDict):
    """What one check found."""

    #: `component`, `datastore`, `system`, or a word of the host.
    componentType: str

    #: The figure behind the status.
    observedValue: NotRequired[float | None]

    #: Unit of the figure.
    observedUnit: NotRequired[str | None]

    #: Whether it works.
    status: HealthStatus

    #: When it was asked, RFC 3339, UTC.
    time: str

    #: Why it does not pass.
    output: NotRequired[str | None]


class HealthAnswer(TypedDict):
    """What a probe answers."""

    #: The worst of all checks.
    status: HealthStatus

    #: Version of this shape.
    version: str

    #: Version of the library.
    releaseId: str

    #: What this is about.
    description: str

    #: What each check found, by `component:measure`.
    checks: NotRequired[dict[str, list[CheckAnswer]]]


#: A thing that there is only so much of.
Resource = Literal['memory', 'threads', 'files', 'temp_disk']


class ResourceUsage(TypedDict):
    """State of one budget."""

    #: Which.
    resource: Resource

    #: All there is; none without a limit.
    budget: NotRequired[int | None]

    #: What is held now.
    used: int

    #: The most that was ever held.
    peak: int

    #: How many wait for some of it.
    waiting: int


class Usage(TypedDict):
    """State of a pool at one moment."""

    #: One for each of `Resource::ALL`, in that order.
    resources: list[ResourceUsage]

    #: Permits that are held.
    holders: int

    #: Requests that wait.
    waiting: int

    #: How long the oldest of them has waited, in milliseconds.
    oldest_wait_ms: int

    #: Permits ever granted.
    granted: int

    #: Of these, how many had to wait.
    waited: int

    #: Time that they waited, all together, in milliseconds.
    waited_ms: int

    #: Requests that were larger than their budget.
    refused: int

    #: Requests that had waited long enough.
    timed_out: int

    #: Requests that were cancelled while they waited.
    cancelled: int


#: How much is told.
LogLevel = Literal['off', 'error', 'warn', 'info', 'debug', 'trace']


class LogSpan(TypedDict):
    """A span that a record belongs to."""

    #: Number of the span in this engine.
    id: int

    #: `run`, `process`, `encode`, ...
    name: str

    #: What is known of it. Secrets are `***`.
    fields: dict[str, Any]


class LogRecord(TypedDict):
    """One line of the log."""

    #: Milliseconds since 1970-01-01 UTC.
    time_ms: int

    #: How important it is.
    level: LogLevel

    #: The part of the program that speaks, such as `pure_sound::processing::run`.
    target: str

    #: What it says.
    message: str

    #: Values that belong to it. Secrets are `***`.
    fields: dict[str, Any]

    #: The spans that it happened in, outermost first.
    spans: list[LogSpan]


class MeterOptions(TypedDict, total=False):
    """What to measure beyond the integrated loudness."""

    #: True peak. Default: on.
    true_peak: bool

    #: Loudness range. Default: on.
    range: bool

    #: Measure a single channel as it sounds from two loudspeakers. Default: off.
    dual_mono: bool
