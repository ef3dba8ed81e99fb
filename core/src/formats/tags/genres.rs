//! The numbered genres of ID3v1, with the extensions of Winamp up to 5.6 (the list that players agree on).

/// Name by number.
pub(super) const GENRES: [&str; 192] = [
    "Blues",
    "Classic Rock",
    "Country",
    "Dance",
    "Disco",
    "Funk",
    "Grunge",
    "Hip-Hop",
    "Jazz",
    "Metal",
    "New Age",
    "Oldies",
    "Other",
    "Pop",
    "R&B",
    "Rap",
    "Reggae",
    "Rock",
    "Techno",
    "Industrial",
    "Alternative",
    "Ska",
    "Death Metal",
    "Pranks",
    "Soundtrack",
    "Euro-Techno",
    "Ambient",
    "Trip-Hop",
    "Vocal",
    "Jazz+Funk",
    "Fusion",
    "Trance",
    "Classical",
    "Instrumental",
    "Acid",
    "House",
    "Game",
    "Sound Clip",
    "Gospel",
    "Noise",
    "Alt. Rock",
    "Bass",
    "Soul",
    "Punk",
    "Space",
    "Meditative",
    "Instrumental Pop",
    "Instrumental Rock",
    "Ethnic",
    "Gothic",
    "Darkwave",
    "Techno-Industrial",
    "Electronic",
    "Pop-Folk",
    "Eurodance",
    "Dream",
    "Southern Rock",
    "Comedy",
    "Cult",
    "Gangsta Rap",
    "Top 40",
    "Christian Rap",
    "Pop/Funk",
    "Jungle",
    "Native American",
    "Cabaret",
    "New Wave",
    "Psychedelic",
    "Rave",
    "Showtunes",
    "Trailer",
    "Lo-Fi",
    "Tribal",
    "Acid Punk",
    "Acid Jazz",
    "Polka",
    "Retro",
    "Musical",
    "Rock & Roll",
    "Hard Rock",
    "Folk",
    "Folk-Rock",
    "National Folk",
    "Swing",
    "Fast-Fusion",
    "Bebop",
    "Latin",
    "Revival",
    "Celtic",
    "Bluegrass",
    "Avantgarde",
    "Gothic Rock",
    "Progressive Rock",
    "Psychedelic Rock",
    "Symphonic Rock",
    "Slow Rock",
    "Big Band",
    "Chorus",
    "Easy Listening",
    "Acoustic",
    "Humour",
    "Speech",
    "Chanson",
    "Opera",
    "Chamber Music",
    "Sonata",
    "Symphony",
    "Booty Bass",
    "Primus",
    "Porn Groove",
    "Satire",
    "Slow Jam",
    "Club",
    "Tango",
    "Samba",
    "Folklore",
    "Ballad",
    "Power Ballad",
    "Rhythmic Soul",
    "Freestyle",
    "Duet",
    "Punk Rock",
    "Drum Solo",
    "A Cappella",
    "Euro-House",
    "Dance Hall",
    "Goa",
    "Drum & Bass",
    "Club-House",
    "Hardcore",
    "Terror",
    "Indie",
    "BritPop",
    "Afro-Punk",
    "Polsk Punk",
    "Beat",
    "Christian Gangsta Rap",
    "Heavy Metal",
    "Black Metal",
    "Crossover",
    "Contemporary Christian",
    "Christian Rock",
    "Merengue",
    "Salsa",
    "Thrash Metal",
    "Anime",
    "JPop",
    "Synthpop",
    "Abstract",
    "Art Rock",
    "Baroque",
    "Bhangra",
    "Big Beat",
    "Breakbeat",
    "Chillout",
    "Downtempo",
    "Dub",
    "EBM",
    "Eclectic",
    "Electro",
    "Electroclash",
    "Emo",
    "Experimental",
    "Garage",
    "Global",
    "IDM",
    "Illbient",
    "Industro-Goth",
    "Jam Band",
    "Krautrock",
    "Leftfield",
    "Lounge",
    "Math Rock",
    "New Romantic",
    "Nu-Breakz",
    "Post-Punk",
    "Post-Rock",
    "Psytrance",
    "Shoegaze",
    "Space Rock",
    "Trop Rock",
    "World Music",
    "Neoclassical",
    "Audiobook",
    "Audio Theatre",
    "Neue Deutsche Welle",
    "Podcast",
    "Indie Rock",
    "G-Funk",
    "Dubstep",
    "Garage Rock",
    "Psybient",
];

/// Name of a genre number.
pub(super) fn name(number: usize) -> Option<&'static str> {
    GENRES.get(number).copied()
}

/// Genres in an ID3v2 `TCON` value: plain text, a number, or the ID3v2.3 form `(17)(RX)refinement` where `((` stands for
/// a literal parenthesis.
pub(super) fn parse_tcon(value: &str) -> Vec<String> {
    let named = |s: &str| match s {
        "RX" => Some("Remix".to_owned()),
        "CR" => Some("Cover".to_owned()),
        _ if s.bytes().all(|b| b.is_ascii_digit()) => s.parse().ok().and_then(name).map(str::to_owned),
        _ => None,
    };
    let trimmed = value.trim();
    if let Some(genre) = named(trimmed) {
        return vec![genre];
    }
    let mut out: Vec<String> = Vec::new();
    let mut rest = trimmed;
    while let Some(inner) = rest.strip_prefix('(') {
        if inner.starts_with('(') {
            rest = inner;
            break;
        }
        let Some((reference, after)) = inner.split_once(')') else { break };
        if reference == "255" {
            rest = after.trim_start(); // "none" in ID3v1
            continue;
        }
        let Some(genre) = named(reference) else { break };
        if !out.contains(&genre) {
            out.push(genre);
        }
        rest = after.trim_start();
    }
    // A refinement that repeats the reference, as in `(17)Rock`, adds nothing.
    if !rest.is_empty() && !out.iter().any(|g| g.eq_ignore_ascii_case(rest)) {
        out.push(rest.to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_the_id3v2_3_specification() {
        assert_eq!(parse_tcon("(21)"), ["Ska"]);
        assert_eq!(parse_tcon("(4)Eurodisco"), ["Disco", "Eurodisco"]);
        assert_eq!(parse_tcon("(51)(39)"), ["Techno-Industrial", "Noise"]);
        assert_eq!(parse_tcon("((Foo)"), ["(Foo)"]);
        assert_eq!(parse_tcon("17"), ["Rock"]);
        assert_eq!(parse_tcon("(17)Rock"), ["Rock"]);
        assert_eq!(parse_tcon("(RX)"), ["Remix"]);
        assert_eq!(parse_tcon("(999)"), ["(999)"]);
        assert!(parse_tcon("(255)").is_empty());
        assert_eq!(parse_tcon("Pop/Trip-Hop"), ["Pop/Trip-Hop"]);
        assert_eq!((name(85), name(191), name(192)), (Some("Bebop"), Some("Psybient"), None));
    }
}
