//! An example of each filter, for documentation, pictures and tests.

/// The filter `name` with parameters that make it do something, in the form that [`super::FilterSpec::parse`] takes. For
/// most the defaults do.
pub fn example(name: &str) -> &str {
    match name {
        "gain" => "gain:gain_db=-3",
        "low_shelf" => "low_shelf:gain_db=4",
        "high_shelf" => "high_shelf:gain_db=-5",
        "peak_eq" => "peak_eq:gain_db=6",
        "tilt_eq" => "tilt_eq:gain_db=3",
        "limiter" => "limiter:ceiling_dbtp=-12",
        "gate" => "gate:threshold_dbfs=-20",
        "expander" => "expander:threshold_dbfs=-15",
        "de_esser" => "de_esser:threshold_db=-30",
        "stereo" => "stereo:balance_percent=20,width_percent=150",
        "resample" => "resample:rate_hz=32000",
        "fade" => "fade:in_ms=30,out_ms=70",
        "channel_mix" => "channel_mix:to=mono",
        "notch" => "notch:harmonics=3",
        "parametric_eq" => {
            r#"{"type":"parametric_eq","bands":[{"frequency_hz":900,"gain_db":5},{"type":"high_shelf","gain_db":-4}]}"#
        }
        "graphic_eq" => r#"{"type":"graphic_eq","gains_db":[3,-6,0,4,-2,8]}"#,
        "dynamic_eq" => "dynamic_eq:threshold_dbfs=-40",
        "fir_eq" => {
            r#"{"type":"fir_eq","points":[{"frequency_hz":200,"gain_db":-6},{"frequency_hz":2000,"gain_db":4}]}"#
        }
        "crossover" => r#"{"type":"crossover","gains_db":[3,-3]}"#,
        "pan" => "pan:position_percent=30",
        "balance" => "balance:balance_percent=-40",
        "width" => "width:width_percent=160",
        "remap" => r#"{"type":"remap","channels":[2,1]}"#,
        // At 16 bits its noise is above what counts as silence in the tests.
        "dither" => "dither:bits=24",
        "ducker" => "ducker:key_channel=1",
        "clipper" => "clipper:drive_db=12",
        "trim" => "trim:start_s=0.02,end_s=5",
        "pad" => "pad:start_s=0.05,end_s=0.02",
        "speed" => "speed:factor=1.3",
        "cut_silence" => "cut_silence:min_pause_ms=50,keep_ms=20,threshold_dbfs=-30",
        "delay_align" => r#"{"type":"delay_align","delays_ms":[1.234,-2.5]}"#,
        "pitch" => "pitch:semitones=3",
        "tempo" => "tempo:factor=0.8",
        "loop" => "loop:count=2,crossfade_ms=20",
        "convolution" => r#"{"type":"convolution","taps":[[0.5,-0.25,0,0,0.125]]}"#,
        "parallel" => {
            r#"{"type":"parallel","branches":[{"filters":[{"type":"compressor","ratio":8.0}]},{"gain_db":-6.0}]}"#
        }
        "mid_side" => {
            r#"{"type":"mid_side","mid":[{"type":"peak_eq","frequency_hz":3000.0,"gain_db":3.0}],"side":[{"type":"highpass","cutoff_hz":200.0}]}"#
        }
        "channels" => r#"{"type":"channels","groups":[{"channels":[1],"filters":[{"type":"gain","gain_db":-6.0}]}]}"#,
        "sidechain" => {
            r#"{"type":"sidechain","key":[{"type":"highpass","cutoff_hz":150.0}],"filters":[{"type":"compressor"}]}"#
        }
        name => name,
    }
}

/// The example for documentation: as [`example`], but for filters that need files to do something.
pub fn shown(name: &str) -> &str {
    match name {
        "concat" => r#"{"type":"concat","before":["intro.wav"],"after":["outro.flac"],"crossfade_s":0.5}"#,
        "mix" => {
            r#"{"type":"mix","inputs":[{"path":"music.mp3","gain_db":-18,"fade_in_s":1,"fade_out_s":3,"loop":true}]}"#
        }
        "align" => "align:reference=other_microphone.wav",
        name => example(name),
    }
}
