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
