//! The canonical field names and how each format calls them: one table for reading and writing.
//!
//! Sources: ID3v2.4.0 frames (id3.org), Ogg Vorbis "field recommendations" (xiph.org), the iTunes metadata atoms as
//! documented by the QuickTime File Format and used by players, APEv2 item keys (hydrogenaud.io), RIFF INFO (Microsoft
//! Multimedia Programming Interface 1.0), and for what none of them define the names MusicBrainz Picard writes.
//!
//! A name that is not in the table is kept as it is: as a `TXXX` frame, a Vorbis comment, an MP4 freeform item.

use std::collections::HashMap;
use std::sync::LazyLock;

/// How one field is called in each format. An empty name: the format has none, its free-form item is used.
#[derive(Debug)]
pub(super) struct FieldDef {
    /// Canonical name.
    pub key: &'static str,
    /// ID3v2.4 text or URL frame; `TXXX:description`; or a frame with its own code (`COMM`, `TRCK`, ...).
    pub id3: &'static str,
    /// Vorbis comment name.
    pub vorbis: &'static str,
    /// MP4 `ilst` atom, or the name of a freeform item of `com.apple.iTunes` when it is not 4 characters long.
    pub mp4: &'static str,
    /// RIFF INFO identifier.
    pub info: &'static str,
    /// CAF information key.
    pub caf: &'static str,
    /// Other names under which it is read (APEv2, Matroska, common spellings), compared without case.
    pub aliases: &'static [&'static str],
}

macro_rules! fields {
    ($($key:literal $id3:literal $vorbis:literal $mp4:literal $info:literal $caf:literal [$($alias:literal),*])*) => {
        &[$(FieldDef {
            key: $key, id3: $id3, vorbis: $vorbis, mp4: $mp4, info: $info, caf: $caf, aliases: &[$($alias),*],
        }),*]
    };
}

/// The table: key, ID3v2.4, Vorbis, MP4, INFO, CAF, aliases.
#[rustfmt::skip]
pub(super) const FIELDS: &[FieldDef] = fields![
    "title"               "TIT2" "TITLE"              "\u{a9}nam" "INAM" "title" []
    "artist"              "TPE1" "ARTIST"             "\u{a9}ART" "IART" "artist" []
    "album"               "TALB" "ALBUM"              "\u{a9}alb" "IPRD" "album" []
    "album_artist"        "TPE2" "ALBUMARTIST"        "aART" "" "" ["ALBUM ARTIST", "ALBUM_ARTIST", "ENSEMBLE"]
    "composer"            "TCOM" "COMPOSER"           "\u{a9}wrt" "IMUS" "composer" []
    "genre"               "TCON" "GENRE"              "\u{a9}gen" "IGNR" "genre" []
    "date"                "TDRC" "DATE"               "\u{a9}day" "ICRD" "year" ["YEAR", "DATE_RELEASED", "RECORDED DATE"]
    "original_date"       "TDOR" "ORIGINALDATE"       "ORIGINALDATE" "" "" ["ORIGINAL_DATE", "ORIGINALYEAR"]
    "release_date"        "TDRL" "RELEASEDATE"        "RELEASEDATE" "" "" ["RELEASE_DATE"]
    "encoding_date"       "TDEN" "ENCODINGDATE"       "ENCODINGDATE" "" "" ["DATE_ENCODED"]
    "tagging_date"        "TDTG" "TAGGINGDATE"        "TAGGINGDATE" "" "" ["DATE_TAGGED"]
    "track"               "TRCK" "TRACKNUMBER"        "trkn" "ITRK" "track number" ["TRACK", "PART_NUMBER", "TRACKNUM"]
    "track_total"         "TRCK" "TRACKTOTAL"         "trkn" "" "" ["TOTALTRACKS", "TRACKC", "TOTAL_PARTS", "TRACK_TOTAL"]
    "disc"                "TPOS" "DISCNUMBER"         "disk" "" "" ["DISC", "DISK", "DISCNUM"]
    "disc_total"          "TPOS" "DISCTOTAL"          "disk" "" "" ["TOTALDISCS", "DISCC", "DISC_TOTAL"]
    "disc_subtitle"       "TSST" "DISCSUBTITLE"       "DISCSUBTITLE" "" "" ["SETSUBTITLE"]
    "comment"             "COMM" "COMMENT"            "\u{a9}cmt" "ICMT" "comments" ["COMMENTS"]
    "description"         "TDES" "DESCRIPTION"        "desc" "" "" ["PODCASTDESC"]
    "long_description"    "TXXX:LONGDESCRIPTION" "LONGDESCRIPTION" "ldes" "" "" []
    "synopsis"            "TXXX:SYNOPSIS" "SYNOPSIS"  "SYNOPSIS" "" "" []
    "lyrics"              "USLT" "LYRICS"             "\u{a9}lyr" "" "" ["UNSYNCEDLYRICS", "UNSYNCED LYRICS", "UNSYNCHRONISEDLYRICS"]
    "copyright"           "TCOP" "COPYRIGHT"          "cprt" "ICOP" "copyright" []
    "encoder"             "TSSE" "ENCODER"            "\u{a9}too" "ISFT" "encoding application" ["ENCODERSETTINGS", "ENCODER_SETTINGS", "ENCODING TOOL"]
    "encoded_by"          "TENC" "ENCODED-BY"         "\u{a9}enc" "ITCH" "source encoder" ["ENCODEDBY", "ENCODED_BY", "ENCODED BY"]
    "publisher"           "TPUB" "ORGANIZATION"       "LABEL" "" "" ["PUBLISHER", "LABEL", "ORGANISATION"]
    "isrc"                "TSRC" "ISRC"               "ISRC" "" "" []
    "bpm"                 "TBPM" "BPM"                "tmpo" "" "tempo" ["TEMPO"]
    "compilation"         "TCMP" "COMPILATION"        "cpil" "" "" []
    "conductor"           "TPE3" "CONDUCTOR"          "CONDUCTOR" "" "" []
    "remixer"             "TPE4" "REMIXER"            "REMIXER" "" "" ["MIXARTIST", "REMIXED_BY", "MODIFIEDBY"]
    "lyricist"            "TEXT" "LYRICIST"           "LYRICIST" "IWRI" "lyricist" ["WRITER"]
    "performer"           "TXXX:PERFORMER" "PERFORMER" "PERFORMER" "" "" []
    "arranger"            "TIPL:arranger" "ARRANGER"  "ARRANGER" "" "" []
    "engineer"            "TIPL:engineer" "ENGINEER"  "ENGINEER" "IENG" "" []
    "producer"            "TIPL:producer" "PRODUCER"  "PRODUCER" "IPRO" "" []
    "dj_mixer"            "TIPL:DJ-mix" "DJMIXER"     "DJMIXER" "" "" ["DJ-MIX"]
    "mixer"               "TIPL:mix" "MIXER"          "MIXER" "" "" []
    "language"            "TLAN" "LANGUAGE"           "LANGUAGE" "ILNG" "" []
    "mood"                "TMOO" "MOOD"               "MOOD" "" "" []
    "initial_key"         "TKEY" "INITIALKEY"         "initialkey" "" "key signature" ["KEY", "INITIAL_KEY"]
    "time_signature"      "TXXX:TIME_SIGNATURE" "TIME_SIGNATURE" "TIME_SIGNATURE" "" "time signature" []
    "grouping"            "TIT1" "GROUPING"           "\u{a9}grp" "" "" ["CONTENTGROUP"]
    "subtitle"            "TIT3" "SUBTITLE"           "SUBTITLE" "" "" []
    "work"                "TXXX:WORK" "WORK"          "\u{a9}wrk" "" "" []
    "movement"            "MVNM" "MOVEMENTNAME"       "\u{a9}mvn" "" "" ["MOVEMENT"]
    "movement_number"     "MVIN" "MOVEMENTNUMBER"     "\u{a9}mvi" "" "" []
    "movement_total"      "MVIN" "MOVEMENTTOTAL"      "\u{a9}mvc" "" "" []
    "show_movement"       "TXXX:SHOWMOVEMENT" "SHOWMOVEMENT" "shwm" "" "" []
    "media"               "TMED" "MEDIA"              "MEDIA" "IMED" "" []
    "title_sort"          "TSOT" "TITLESORT"          "sonm" "" "" ["TITLE_SORT"]
    "artist_sort"         "TSOP" "ARTISTSORT"         "soar" "" "" ["ARTIST_SORT"]
    "album_sort"          "TSOA" "ALBUMSORT"          "soal" "" "" ["ALBUM_SORT"]
    "album_artist_sort"   "TSO2" "ALBUMARTISTSORT"    "soaa" "" "" ["ALBUM_ARTIST_SORT"]
    "composer_sort"       "TSOC" "COMPOSERSORT"       "soco" "" "" ["COMPOSER_SORT"]
    "show_sort"           "TXXX:SHOWSORT" "SHOWSORT"  "sosn" "" "" []
    "original_artist"     "TOPE" "ORIGINALARTIST"     "ORIGINALARTIST" "" "" ["ORIGINAL ARTIST"]
    "original_album"      "TOAL" "ORIGINALALBUM"      "ORIGINALALBUM" "" "" ["ORIGINAL ALBUM"]
    "original_lyricist"   "TOLY" "ORIGINALLYRICIST"   "ORIGINALLYRICIST" "" "" []
    "original_filename"   "TOFN" "ORIGINALFILENAME"   "ORIGINALFILENAME" "" "" []
    "owner"               "TOWN" "OWNER"              "ownr" "" "" ["FILEOWNER"]
    "radio_station"       "TRSN" "RADIOSTATION"       "RADIOSTATION" "" "" []
    "produced_notice"     "TPRO" "PRODUCEDNOTICE"     "PRODUCEDNOTICE" "" "" []
    "file_type"           "TFLT" "FILETYPE"           "FILETYPE" "" "" []
    "length_ms"           "TLEN" "LENGTH"             "LENGTH" "" "" []
    "asin"                "TXXX:ASIN" "ASIN"          "ASIN" "" "" []
    "barcode"             "TXXX:BARCODE" "BARCODE"    "BARCODE" "" "" ["UPC", "EAN/UPN"]
    "catalog_number"      "TXXX:CATALOGNUMBER" "CATALOGNUMBER" "CATALOGNUMBER" "" "" ["CATALOG_NUMBER", "CATALOGID"]
    "script"              "TXXX:SCRIPT" "SCRIPT"      "SCRIPT" "" "" []
    "rating"              "TXXX:RATING" "RATING"      "RATING" "" "" []
    "acoustid_id"         "TXXX:Acoustid Id" "ACOUSTID_ID" "Acoustid Id" "" "" []
    "acoustid_fingerprint" "TXXX:Acoustid Fingerprint" "ACOUSTID_FINGERPRINT" "Acoustid Fingerprint" "" "" []
    "musicbrainz_track_id" "UFID:http://musicbrainz.org" "MUSICBRAINZ_TRACKID" "MusicBrainz Track Id" "" "" ["MUSICBRAINZ_TRACK_ID"]
    "musicbrainz_release_track_id" "TXXX:MusicBrainz Release Track Id" "MUSICBRAINZ_RELEASETRACKID" "MusicBrainz Release Track Id" "" "" []
    "musicbrainz_album_id" "TXXX:MusicBrainz Album Id" "MUSICBRAINZ_ALBUMID" "MusicBrainz Album Id" "" "" []
    "musicbrainz_artist_id" "TXXX:MusicBrainz Artist Id" "MUSICBRAINZ_ARTISTID" "MusicBrainz Artist Id" "" "" []
    "musicbrainz_album_artist_id" "TXXX:MusicBrainz Album Artist Id" "MUSICBRAINZ_ALBUMARTISTID" "MusicBrainz Album Artist Id" "" "" []
    "musicbrainz_release_group_id" "TXXX:MusicBrainz Release Group Id" "MUSICBRAINZ_RELEASEGROUPID" "MusicBrainz Release Group Id" "" "" []
    "musicbrainz_work_id" "TXXX:MusicBrainz Work Id" "MUSICBRAINZ_WORKID" "MusicBrainz Work Id" "" "" []
    "musicbrainz_disc_id" "TXXX:MusicBrainz Disc Id" "MUSICBRAINZ_DISCID" "MusicBrainz Disc Id" "" "" []
    "musicbrainz_album_type" "TXXX:MusicBrainz Album Type" "RELEASETYPE" "MusicBrainz Album Type" "" "" ["MUSICBRAINZ_ALBUMTYPE"]
    "musicbrainz_album_status" "TXXX:MusicBrainz Album Status" "RELEASESTATUS" "MusicBrainz Album Status" "" "" ["MUSICBRAINZ_ALBUMSTATUS"]
    "release_country"     "TXXX:MusicBrainz Album Release Country" "RELEASECOUNTRY" "MusicBrainz Album Release Country" "ICNT" "" []
    "replaygain_track_gain" "TXXX:REPLAYGAIN_TRACK_GAIN" "REPLAYGAIN_TRACK_GAIN" "replaygain_track_gain" "" "" []
    "replaygain_track_peak" "TXXX:REPLAYGAIN_TRACK_PEAK" "REPLAYGAIN_TRACK_PEAK" "replaygain_track_peak" "" "" []
    "replaygain_track_range" "TXXX:REPLAYGAIN_TRACK_RANGE" "REPLAYGAIN_TRACK_RANGE" "replaygain_track_range" "" "" []
    "replaygain_album_gain" "TXXX:REPLAYGAIN_ALBUM_GAIN" "REPLAYGAIN_ALBUM_GAIN" "replaygain_album_gain" "" "" []
    "replaygain_album_peak" "TXXX:REPLAYGAIN_ALBUM_PEAK" "REPLAYGAIN_ALBUM_PEAK" "replaygain_album_peak" "" "" []
    "replaygain_album_range" "TXXX:REPLAYGAIN_ALBUM_RANGE" "REPLAYGAIN_ALBUM_RANGE" "replaygain_album_range" "" "" []
    "replaygain_reference_loudness" "TXXX:REPLAYGAIN_REFERENCE_LOUDNESS" "REPLAYGAIN_REFERENCE_LOUDNESS" "replaygain_reference_loudness" "" "" []
    "r128_track_gain"     "TXXX:R128_TRACK_GAIN" "R128_TRACK_GAIN" "R128_TRACK_GAIN" "" "" []
    "r128_album_gain"     "TXXX:R128_ALBUM_GAIN" "R128_ALBUM_GAIN" "R128_ALBUM_GAIN" "" "" []
    "podcast"             "PCST" "PODCAST"            "pcst" "" "" ["ITUNESPODCAST"]
    "podcast_url"         "WFED" "PODCASTURL"         "purl" "" "" []
    "podcast_id"          "TGID" "PODCASTID"          "egid" "" "" []
    "podcast_category"    "TCAT" "PODCASTCATEGORY"    "catg" "" "" []
    "keywords"            "TKWD" "KEYWORDS"           "keyw" "IKEY" "" ["PODCASTKEYWORDS", "PODCAST_KEYWORDS"]
    "gapless"             "TXXX:GAPLESS" "GAPLESS"    "pgap" "" "" []
    "media_kind"          "TXXX:MEDIAKIND" "MEDIAKIND" "stik" "" "" []
    "advisory"            "TXXX:ITUNESADVISORY" "ITUNESADVISORY" "rtng" "" "" []
    "hd_video"            "TXXX:HDVIDEO" "HDVIDEO"    "hdvd" "" "" []
    "tv_show"             "TXXX:TVSHOW" "TVSHOW"      "tvsh" "" "" ["SHOW"]
    "tv_network"          "TXXX:TVNETWORK" "TVNETWORK" "tvnn" "" "" []
    "tv_episode_id"       "TXXX:TVEPISODEID" "TVEPISODEID" "tven" "" "" ["EPISODE_ID"]
    "tv_season"           "TXXX:TVSEASON" "TVSEASON"  "tvsn" "" "" ["SEASON_NUMBER"]
    "tv_episode"          "TXXX:TVEPISODE" "TVEPISODE" "tves" "" "" ["EPISODE_SORT"]
    "purchase_date"       "TXXX:PURCHASEDATE" "PURCHASEDATE" "purd" "" "" []
    "itunes_account"      "TXXX:ITUNESACCOUNT" "ITUNESACCOUNT" "apID" "" "" []
    "itunes_account_type" "TXXX:ITUNESACCOUNTTYPE" "ITUNESACCOUNTTYPE" "akID" "" "" []
    "itunes_country_id"   "TXXX:ITUNESCOUNTRYID" "ITUNESCOUNTRYID" "sfID" "" "" []
    "itunes_catalog_id"   "TXXX:ITUNESCATALOGID" "ITUNESCATALOGID" "cnID" "" "" []
    "itunes_artist_id"    "TXXX:ITUNESARTISTID" "ITUNESARTISTID" "atID" "" "" []
    "itunes_album_id"     "TXXX:ITUNESALBUMID" "ITUNESALBUMID" "plID" "" "" []
    "itunes_genre_id"     "TXXX:ITUNESGENREID" "ITUNESGENREID" "geID" "" "" []
    "itunes_composer_id"  "TXXX:ITUNESCOMPOSERID" "ITUNESCOMPOSERID" "cmID" "" "" []
    "itunes_content_id"   "TXXX:ITUNESCONTENTID" "ITUNESCONTENTID" "xid " "" "" []
    "url"                 "WXXX" "WEBSITE"            "WEBSITE" "" "" ["URL", "WEBLINK"]
    "url_artist"          "WOAR" "URL_ARTIST"         "URL_ARTIST" "" "" ["URL_OFFICIAL_ARTIST_SITE"]
    "url_file"            "WOAF" "URL_FILE"           "URL_FILE" "" "" []
    "url_source"          "WOAS" "URL_SOURCE"         "URL_SOURCE" "" "" []
    "url_radio"           "WORS" "URL_RADIO"          "URL_RADIO" "" "" []
    "url_publisher"       "WPUB" "URL_PUBLISHER"      "URL_PUBLISHER" "" "" []
    "url_payment"         "WPAY" "URL_PAYMENT"        "URL_PAYMENT" "" "" []
    "url_copyright"       "WCOP" "URL_COPYRIGHT"      "URL_COPYRIGHT" "" "" []
    "url_commercial"      "WCOM" "URL_COMMERCIAL"     "URL_COMMERCIAL" "" "" []
    "location"            "TXXX:LOCATION" "LOCATION"  "\u{a9}xyz" "" "" ["COM.APPLE.QUICKTIME.LOCATION.ISO6709", "GEO_LOCATION", "RECORDING_LOCATION"]
    "device_make"         "TXXX:DEVICE_MAKE" "DEVICE_MAKE" "\u{a9}mak" "" "" ["MAKE", "COM.APPLE.QUICKTIME.MAKE"]
    "device_model"        "TXXX:DEVICE_MODEL" "DEVICE_MODEL" "\u{a9}mod" "" "" ["MODEL", "COM.APPLE.QUICKTIME.MODEL"]
    "originator"          "TXXX:ORIGINATOR" "ORIGINATOR" "ORIGINATOR" "" "" []
    "originator_reference" "TXXX:ORIGINATOR_REFERENCE" "ORIGINATOR_REFERENCE" "ORIGINATOR_REFERENCE" "" "" []
    "origination_date"    "TXXX:ORIGINATION_DATE" "ORIGINATION_DATE" "ORIGINATION_DATE" "" "" []
    "origination_time"    "TXXX:ORIGINATION_TIME" "ORIGINATION_TIME" "ORIGINATION_TIME" "" "" []
    "time_reference"      "TXXX:TIME_REFERENCE" "TIME_REFERENCE" "TIME_REFERENCE" "" "" []
    "umid"                "TXXX:UMID" "UMID"          "UMID" "" "" []
    "coding_history"      "TXXX:CODING_HISTORY" "CODING_HISTORY" "CODING_HISTORY" "" "" []
    "bext_loudness_lufs"  "TXXX:BEXT_LOUDNESS_LUFS" "BEXT_LOUDNESS_LUFS" "BEXT_LOUDNESS_LUFS" "" "" []
    "bext_loudness_range_lu" "TXXX:BEXT_LOUDNESS_RANGE_LU" "BEXT_LOUDNESS_RANGE_LU" "BEXT_LOUDNESS_RANGE_LU" "" "" []
    "bext_max_true_peak_dbtp" "TXXX:BEXT_MAX_TRUE_PEAK_DBTP" "BEXT_MAX_TRUE_PEAK_DBTP" "BEXT_MAX_TRUE_PEAK_DBTP" "" "" []
    "bext_max_momentary_lufs" "TXXX:BEXT_MAX_MOMENTARY_LUFS" "BEXT_MAX_MOMENTARY_LUFS" "BEXT_MAX_MOMENTARY_LUFS" "" "" []
    "bext_max_short_term_lufs" "TXXX:BEXT_MAX_SHORT_TERM_LUFS" "BEXT_MAX_SHORT_TERM_LUFS" "BEXT_MAX_SHORT_TERM_LUFS" "" "" []
    "subject"             "TXXX:SUBJECT" "SUBJECT"    "SUBJECT" "ISBJ" "" []
    "source"              "TXXX:SOURCE" "SOURCE"      "SOURCE" "ISRC" "" []
    "comment_language"    "TXXX:COMMENT_LANGUAGE" "COMMENT_LANGUAGE" "COMMENT_LANGUAGE" "" "" []
    "lyrics_language"     "TXXX:LYRICS_LANGUAGE" "LYRICS_LANGUAGE" "LYRICS_LANGUAGE" "" "" []
    "cuesheet"            "TXXX:CUESHEET" "CUESHEET"  "CUESHEET" "" "" []
];

type Index = HashMap<String, &'static FieldDef>;

static BY_KEY: LazyLock<Index> = LazyLock::new(|| FIELDS.iter().map(|d| (d.key.to_owned(), d)).collect());
static BY_ID3: LazyLock<Index> = LazyLock::new(|| index(|d| d.id3));
static BY_MP4: LazyLock<Index> = LazyLock::new(|| index(|d| d.mp4));
static BY_INFO: LazyLock<Index> = LazyLock::new(|| index(|d| d.info));
static BY_CAF: LazyLock<Index> = LazyLock::new(|| index(|d| d.caf));
static BY_NAME: LazyLock<Index> = LazyLock::new(|| {
    let mut map = Index::new();
    for d in FIELDS {
        let freeform = if is_atom(d.mp4) { "" } else { d.mp4 };
        let txxx = d.id3.strip_prefix("TXXX:").unwrap_or("");
        for name in [d.key, d.vorbis, txxx, freeform].into_iter().chain(d.aliases.iter().copied()) {
            if !name.is_empty() {
                map.entry(name.to_ascii_uppercase()).or_insert(d);
            }
        }
    }
    map
});

/// True for an `ilst` atom, false for the name of a freeform item. No atom is all capitals, unlike `ISRC` or `MOOD`.
pub(super) fn is_atom(mp4: &str) -> bool {
    mp4.chars().count() == 4 && !mp4.bytes().all(|b| b.is_ascii_uppercase())
}

/// First definition wins, so that `TRCK` finds `track` and not `track_total`.
fn index(name: fn(&FieldDef) -> &'static str) -> Index {
    let mut map = Index::new();
    for d in FIELDS.iter().filter(|d| !name(d).is_empty()) {
        map.entry(name(d).to_owned()).or_insert(d);
    }
    map
}

/// Definition of a canonical key.
pub(super) fn by_key(key: &str) -> Option<&'static FieldDef> {
    BY_KEY.get(key).copied()
}
/// Canonical key of an ID3v2.4 frame id.
pub(super) fn by_id3(frame: &str) -> Option<&'static str> {
    BY_ID3.get(frame).map(|d| d.key)
}
/// Canonical key of an `ilst` atom.
pub(super) fn by_mp4(atom: &str) -> Option<&'static str> {
    BY_MP4.get(atom).map(|d| d.key)
}
/// Canonical key of an INFO identifier.
pub(super) fn by_info(id: &str) -> Option<&'static str> {
    BY_INFO.get(id).map(|d| d.key)
}
/// Canonical key of a CAF information key.
pub(super) fn by_caf(name: &str) -> Option<&'static str> {
    BY_CAF.get(name).map(|d| d.key)
}
/// Canonical key of a free-form name, without regard to case.
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    BY_NAME.get(&name.to_ascii_uppercase()).map(|d| d.key)
}

/// Every canonical field name, for documentation and completion.
pub fn canonical_keys() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|d| d.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_unique_and_every_name_of_a_row_leads_back_to_it() {
        let mut seen = HashSet::new();
        for d in FIELDS {
            assert!(seen.insert(d.key), "{} twice", d.key);
            for name in [d.key, d.vorbis].iter().chain(d.aliases) {
                assert_eq!(by_name(name), Some(d.key), "{name}");
            }
            assert!(!d.mp4.is_empty() && !d.id3.is_empty() && !d.vorbis.is_empty(), "{}", d.key);
        }
        assert_eq!(by_id3("TRCK"), Some("track"));
        assert_eq!(by_mp4("\u{a9}nam"), Some("title"));
        assert_eq!(by_name("album artist"), Some("album_artist"));
        assert_eq!(by_name("nonsense"), None);
    }
}
