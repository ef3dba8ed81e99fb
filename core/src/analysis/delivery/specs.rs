//! The table of specifications. Each rule names its document, and the page or the publisher where it is found.

use super::{Measured, Rule, Specification};

const NONE: f64 = f64::INFINITY;

const fn range(quantity: Measured, min: f64, max: f64, source: &'static str) -> Rule {
    Rule { quantity, min, max, source }
}

const fn at_most(quantity: Measured, max: f64, source: &'static str) -> Rule {
    Rule { quantity, min: -NONE, max, source }
}

/// All specifications.
pub const SPECS: &[Specification] = &[
    Specification {
        name: "ebu_r128",
        title: "EBU R 128 version 4.0 (2020)",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -24.0,
                -22.0,
                "EBU R 128 v4.0 (August 2020), tech.ebu.ch/publications/r128: -23.0 LUFS, +/-1 LU in production",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "EBU R 128, tech.ebu.ch/publications/r128: maximum permitted true peak -1 dBTP in production",
            ),
        ],
        not_measured: "",
    },
    Specification {
        name: "ebu_r128_2014",
        title: "EBU R 128 version 3.0 (2014), programmes that are not live",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -23.5,
                -22.5,
                "EBU R 128 v3.0 (June 2014), tech.ebu.ch/publications/r128: -23.0 LUFS, +/-0.5 LU",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "EBU R 128, tech.ebu.ch/publications/r128: maximum permitted true peak -1 dBTP in production",
            ),
        ],
        not_measured: "",
    },
    Specification {
        name: "ebu_r128_s1",
        title: "EBU R 128 s1 (2014), short-form content",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -23.5,
                -22.5,
                "EBU R 128 s1 (2014), tech.ebu.ch/publications/r128s1, parameter 1: -23 LUFS, +/-0.5 LU",
            ),
            at_most(
                Measured::MaxShortTermLufs,
                -18.0,
                "EBU R 128 s1 (2014), tech.ebu.ch/publications/r128s1, parameter 3: maximum short-term loudness -18 LUFS",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "EBU R 128 s1 (2014), tech.ebu.ch/publications/r128s1, parameter 2: maximum true peak -1 dBTP",
            ),
        ],
        not_measured: "a maximum momentary loudness of -15 LUFS may take the place of the short-term limit",
    },
    Specification {
        name: "atsc_a85",
        title: "ATSC A/85:2013, short-form and non-dialogue content",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -26.0,
                -22.0,
                "ATSC A/85:2013, www.atsc.org/documents: target loudness -24 LKFS, +/-2 dB",
            ),
            at_most(Measured::TruePeakDbtp, -2.0, "ATSC A/85:2013, www.atsc.org/documents: true peak below -2 dBTP"),
        ],
        not_measured: "long-form content is measured on its anchor element (dialogue); here all sound is measured",
    },
    Specification {
        name: "acx",
        title: "ACX audio submission requirements (audiobooks)",
        rules: &[
            range(
                Measured::RmsDbfs,
                -23.0,
                -18.0,
                "ACX Audio Submission Requirements, help.acx.com: each file measures between -23 dB and -18 dB RMS",
            ),
            at_most(
                Measured::SamplePeakDbfs,
                -3.0,
                "ACX Audio Submission Requirements, help.acx.com: peak values no higher than -3 dB",
            ),
            at_most(
                Measured::NoiseFloorDbfs,
                -60.0,
                "ACX Audio Submission Requirements, help.acx.com: noise floor no higher than -60 dB RMS",
            ),
            range(Measured::RateHz, 44_100.0, 44_100.0, "ACX Audio Submission Requirements, help.acx.com: 44.1 kHz"),
            at_most(
                Measured::DurationS,
                7_200.0,
                "ACX Audio Submission Requirements, help.acx.com: each file no longer than 120 minutes",
            ),
        ],
        not_measured: "room tone of 0.5 to 1 s before and 1 to 5 s after, MP3 of 192 kbit/s or more at a constant rate, one chapter a file",
    },
    Specification {
        name: "apple_podcasts",
        title: "Apple Podcasts audio requirements",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -17.0,
                -15.0,
                "Apple Podcasts for Creators, Audio requirements, podcasters.apple.com/support/893: around -16 LKFS, +/-1 dB",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "Apple Podcasts for Creators, Audio requirements, podcasters.apple.com/support/893: true peak not above -1 dBFS",
            ),
        ],
        not_measured: "",
    },
    Specification {
        name: "spotify",
        title: "Spotify for Artists, loudness normalisation",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -15.0,
                -13.0,
                "Spotify for Artists, Loudness normalization, Mastering tips, support.spotify.com/artists/article/loudness-normalization: -14 LUFS; +/-1 LU is ours",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "Spotify for Artists, Loudness normalization, Mastering tips, support.spotify.com/artists/article/loudness-normalization: below -1 dBTP",
            ),
        ],
        not_measured: "louder masters are advised to stay below -2 dBTP",
    },
    Specification {
        name: "aes_td1008",
        title: "AES TD1008 (2021), internet audio streaming, speech and assorted content",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -20.0,
                -16.0,
                "AES TD1008.1.21-9 (2021), Table 1, www.aes.org/technical: assorted content -18 LUFS, +/-2 LU",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -1.0,
                "AES TD1008.1.21-9 (2021), www.aes.org/technical: maximum true peak -1 dBTP before the codec",
            ),
        ],
        not_measured: "the loudness of the speech alone; music: -16 LUFS a track, or -14 LUFS for the loudest track of an album",
    },
    Specification {
        name: "netflix_ungated",
        title: "Netflix sound mix specification, measured without dialogue gating",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -29.0,
                -25.0,
                "Netflix Sound Mix Specifications & Best Practices, partnerhelp.netflixstudios.com: average -27 LKFS, +/-2 LU (dialogue-gated there)",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -2.0,
                "Netflix Sound Mix Specifications & Best Practices, partnerhelp.netflixstudios.com: peaks not above -2 dB true peak",
            ),
        ],
        not_measured: "the loudness is dialogue-gated there (Dolby Dialogue Intelligence); of a mix with loud effects this figure is too high",
    },
    Specification {
        name: "netflix_low_dialogue",
        title: "Netflix sound mix specification, programmes with 15 % dialogue or less",
        rules: &[
            range(
                Measured::IntegratedLufs,
                -26.0,
                -22.0,
                "Netflix Sound Mix Specifications & Best Practices, partnerhelp.netflixstudios.com: -24 LKFS, +/-2 LU, ITU-R BS.1770-3",
            ),
            at_most(
                Measured::TruePeakDbtp,
                -2.0,
                "Netflix Sound Mix Specifications & Best Practices, partnerhelp.netflixstudios.com: peaks not above -2 dB true peak",
            ),
        ],
        not_measured: "how much dialogue there is",
    },
    Specification {
        name: "no_faults",
        title: "No quality verdict of severity error",
        rules: &[at_most(Measured::Faults, 0.0, "Pure Sound: quality verdicts")],
        not_measured: "",
    },
];
