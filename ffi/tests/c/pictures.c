/* Recommendations, comparisons, pictures and pages; right and wrong. */
#include "check.h"

/* One second of noise as a file in memory: what the readers of this test read. */
static uint8_t *wav;
static size_t wav_size;

struct host {
    size_t position;
    int destroyed;
};

static int32_t host_read(void *user_data, uint8_t *buffer, size_t size, size_t *out_read) {
    struct host *host = user_data;
    *out_read = size < wav_size - host->position ? size : wav_size - host->position;
    memcpy(buffer, wav + host->position, *out_read);
    host->position += *out_read;
    return 0;
}

static int32_t host_seek(void *user_data, uint64_t position) {
    ((struct host *)user_data)->position = position < wav_size ? (size_t)position : wav_size;
    return 0;
}

static void host_destroy(void *user_data) {
    ((struct host *)user_data)->destroyed++;
}

/* An input of the host, and a second one: each must be given back exactly once. */
static struct host first, second;
static psnd_reader readers[2];
static psnd_input one, other;

static void set_hosts(void) {
    static const psnd_reader empty_reader = PSND_READER_INIT;
    static const psnd_input empty_input = PSND_INPUT_INIT;
    size_t index;
    for (index = 0; index < 2; index++) {
        readers[index] = empty_reader;
        readers[index].read = host_read;
        readers[index].seek = host_seek;
        readers[index].size = wav_size;
        readers[index].user_data = index == 0 ? &first : &second;
        readers[index].destroy = host_destroy;
    }
    one = other = empty_input;
    one.reader = &readers[0];
    other.reader = &readers[1];
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
}

#define BOTH_BACK(call)                                                          \
    do {                                                                         \
        set_hosts();                                                             \
        call;                                                                    \
        if (first.destroyed != 1 || second.destroyed != 1) {                     \
            SAY_WRONG("given back %d, %d", first.destroyed, second.destroyed);   \
        }                                                                        \
    } while (0)

#define ONE_BACK(call)                                                           \
    do {                                                                         \
        set_hosts();                                                             \
        call;                                                                    \
        CHECK(first.destroyed == 1);                                             \
    } while (0)

static unsigned long big_endian(const uint8_t *bytes) {
    return (unsigned long)bytes[0] << 24 | (unsigned long)bytes[1] << 16 | (unsigned long)bytes[2] << 8 | bytes[3];
}

/* A PNG of that size; frees it. */
static void check_png(uint8_t *data, size_t size, unsigned long width, unsigned long height) {
    CHECK(data != NULL && size > 24 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0);
    if (data != NULL && size > 24) {
        CHECK(big_endian(data + 16) == width && big_endian(data + 20) == height);
    }
    psnd_bytes_free(data, size);
}

static void test_quality(psnd_engine engine, const psnd_input *input) {
    char *text = NULL;
    psnd_input mono = PSND_INPUT_INIT;
    OK(psnd_engine_classify(engine, input, NULL, NULL, &text, NULL));
    HOLDS(text, "\"class\":\"");
    OK(psnd_engine_classify(engine, input, "{\"content\": {\"unknown_below\": 1}}", NULL, &text, NULL));
    HOLDS(text, "\"class\":\"unknown\"");
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_classify(engine, input, "{\"contents\": {}}", NULL, &text, &error));
    FAILS(OUT_OF_RANGE, "silence_dbfs", psnd_engine_classify(engine, input, "{\"content\": {\"silence_dbfs\": 1}}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_classify(engine, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_classify(engine, input, NULL, NULL, NULL, &error));
    OK(psnd_engine_recommend(engine, input, NULL, NULL, &text, NULL));
    HOLDS(text, "\"recipe\":{");
    OK(psnd_engine_recommend(engine, input, "{\"content\": \"music\"}", NULL, &text, NULL));
    HOLDS(text, "\"content\":\"music\"");
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_recommend(engine, input, "{\"content\": \"noise\"}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_recommend(engine, input, "{", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_recommend(engine, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_recommend(engine, input, NULL, NULL, NULL, &error));

    OK(psnd_engine_compare(engine, input, input, NULL, NULL, &text, NULL));
    HOLDS(text, "\"identical\":true");
    OK(psnd_audio_from_planar((const float *const *)both, 1, FRAMES, 48000, "mono", &mono.audio, NULL));
    FAILS(INVALID_VALUE, "\"channels\"", psnd_engine_compare(engine, input, &mono, NULL, NULL, &text, &error));
    OK(psnd_engine_compare(engine, input, &mono, "{\"compare\": {\"mix_to_mono\": true, \"align\": false}}", NULL, &text, NULL));
    HOLDS(text, "\"identical\":false");
    FAILS(OUT_OF_RANGE, "max_offset_s",
          psnd_engine_compare(engine, input, input, "{\"compare\": {\"max_offset_s\": 61}}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_compare(engine, input, input, "{\"align\": false}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_compare(engine, NULL, input, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_compare(engine, input, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_compare(engine, input, input, NULL, NULL, NULL, &error));
    OK(psnd_audio_free(mono.audio));
    CHECK(text == NULL);
}

static void test_drawn(psnd_engine engine, const psnd_input *input) {
    char *text = NULL;
    uint8_t *data = NULL;
    size_t size = 0;
    OK(psnd_engine_waveform_peaks(engine, input, "{\"peaks\": {\"samples_per_pixel\": 24000}}", NULL, &text, NULL));
    HOLDS(text, "\"samples_per_pixel\":24000,\"channels\":2,\"data\":[");
    FAILS(OUT_OF_RANGE, "samples_per_pixel",
          psnd_engine_waveform_peaks(engine, input, "{\"peaks\": {\"samples_per_pixel\": 1}}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"options\"",
          psnd_engine_waveform_peaks(engine, input, "{\"samples_per_pixel\": 256}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_waveform_peaks(engine, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_waveform_peaks(engine, input, NULL, NULL, NULL, &error));
    CHECK(text == NULL);

    /* Wrong first: nothing may have been written. */
    FAILS(OUT_OF_RANGE, "width", psnd_engine_waveform_png(engine, input, "{\"width\": 15}", NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_waveform_png(engine, input, "{\"width\": \"x\"}", NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_waveform_png(engine, NULL, NULL, NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "out_data", psnd_engine_waveform_png(engine, input, NULL, NULL, NULL, &size, &error));
    FAILS(INVALID_VALUE, "out_size", psnd_engine_waveform_png(engine, input, NULL, NULL, &data, NULL, &error));
    FAILS(OUT_OF_RANGE, "height", psnd_engine_spectrogram_png(engine, input, "{\"height\": 9999}", NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "\"options\"",
          psnd_engine_spectrogram_png(engine, input, "{\"scale\": \"round\"}", NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_spectrogram_png(engine, NULL, NULL, NULL, &data, &size, &error));
    FAILS(INVALID_VALUE, "out_data", psnd_engine_spectrogram_png(engine, input, NULL, NULL, NULL, &size, &error));
    FAILS(INVALID_VALUE, "out_size", psnd_engine_spectrogram_png(engine, input, NULL, NULL, &data, NULL, &error));
    CHECK(data == NULL && size == 0);
    OK(psnd_engine_waveform_png(engine, input, NULL, NULL, &data, &size, NULL));
    check_png(data, size, 1200, 300);
    OK(psnd_engine_waveform_png(engine, input, "{\"width\": 64, \"height\": 32, \"axes\": false}", NULL, &data, &size, NULL));
    check_png(data, size, 64, 32);
    OK(psnd_engine_spectrogram_png(engine, input, "{\"width\": 240, \"height\": 128, \"scale\": \"mel\"}", NULL, &data, &size, NULL));
    check_png(data, size, 240, 128);
}

static void test_pages(psnd_engine engine, const psnd_input *input) {
    static const char *const quieter = "{\"filters\": [\"gain:gain_db=-6\"], \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}";
    char *html = NULL, *text = NULL, *report = NULL;
    psnd_outputs outputs = 0;
    psnd_input made = PSND_INPUT_INIT;
    const uint8_t *data = NULL;

    FAILS(UNKNOWN_NAME, "\"acx\"",
          psnd_engine_analysis_page(engine, input, "{\"specifications\": [\"acz\"]}", NULL, &html, &text, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_analysis_page(engine, input, "{\"titel\": \"\"}", NULL, &html, &text, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_analysis_page(engine, NULL, NULL, NULL, &html, &text, &error));
    FAILS(INVALID_VALUE, "out_html", psnd_engine_analysis_page(engine, input, NULL, NULL, NULL, &text, &error));
    CHECK(html == NULL && text == NULL);
    OK(psnd_engine_analysis_page(engine, input, "{\"title\": \"<noise>\", \"specifications\": [\"acx\"]}", NULL, &html, &text, NULL));
    HOLDS(html, "&lt;noise&gt;");
    CHECK(text != NULL && strstr(text, "{\"analysis\":{") == text && strstr(text, "<html") == NULL);
    HOLDS(text, "\"check\":{\"");
    OK(psnd_engine_analysis_page(engine, input, NULL, NULL, &html, NULL, NULL));
    HOLDS(html, "</html>");

    OK(psnd_engine_process_to_memory(engine, input, quieter, NULL, &report, &outputs, NULL));
    OK(psnd_outputs_bytes(outputs, 0, &data, &made.size, NULL));
    made.data = data;
    OK(psnd_engine_comparison_page(engine, input, &made, report, "{\"title\": \"both\"}", NULL, &html, NULL));
    HOLDS(html, "What was done");
    OK(psnd_engine_comparison_page(engine, input, &made, NULL, NULL, NULL, &html, NULL));
    CHECK(html != NULL && strstr(html, "What was done") == NULL);
    HOLDS(html, "</html>");
    FAILS(INVALID_VALUE, "\"report\"", psnd_engine_comparison_page(engine, input, &made, "{}", NULL, NULL, &html, &error));
    FAILS(INVALID_VALUE, "\"report\"", psnd_engine_comparison_page(engine, input, &made, "{", NULL, NULL, &html, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_engine_comparison_page(engine, input, &made, report, "7", NULL, &html, &error));
    FAILS(OUT_OF_RANGE, "target_lufs",
          psnd_engine_comparison_page(engine, input, &made, NULL, "{\"target_lufs\": 1}", NULL, &html, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_comparison_page(engine, NULL, &made, NULL, NULL, NULL, &html, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_comparison_page(engine, input, NULL, NULL, NULL, NULL, &html, &error));
    FAILS(INVALID_VALUE, "out_html", psnd_engine_comparison_page(engine, input, &made, NULL, NULL, NULL, NULL, &error));
    CHECK(html == NULL);
    psnd_string_free(report);
    OK(psnd_outputs_free(outputs));
}

/* Readers are given back whatever is wrong; of two wrong inputs the first one is refused. `freed` is an engine that was. */
static void test_given_back(psnd_engine engine, psnd_engine freed) {
    char *text = NULL;
    uint8_t *data = NULL;
    size_t size = 0;
    psnd_call wrong = PSND_CALL_INIT;
    wrong.struct_size = 1;
    BOTH_BACK(OK(psnd_engine_compare(engine, &one, &other, NULL, NULL, &text, NULL)));
    HOLDS(text, "\"identical\":true");
    BOTH_BACK(OK(psnd_engine_comparison_page(engine, &one, &other, NULL, NULL, NULL, &text, NULL)));
    HOLDS(text, "recording");
    BOTH_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_compare(freed, &one, &other, NULL, NULL, &text, &error)));
    BOTH_BACK(FAILS(INVALID_VALUE, "options", psnd_engine_compare(engine, &one, &other, "3", NULL, &text, &error)));
    BOTH_BACK(FAILS(OUT_OF_RANGE, "call.struct_size", psnd_engine_compare(engine, &one, &other, NULL, &wrong, &text, &error)));
    BOTH_BACK(GIVES(INVALID_VALUE, psnd_engine_compare(engine, &one, &other, NULL, NULL, NULL, NULL)));
    BOTH_BACK(one.path = recording;
              FAILS(INVALID_VALUE, "2 kinds", psnd_engine_compare(engine, &one, &other, NULL, NULL, &text, &error)));
    BOTH_BACK(readers[1].read = NULL;
              FAILS(INVALID_VALUE, "reader.read", psnd_engine_compare(engine, &one, &other, NULL, NULL, &text, &error)));
    BOTH_BACK(one.path = recording; readers[1].read = NULL;
              FAILS(INVALID_VALUE, "2 kinds", psnd_engine_compare(engine, &one, &other, NULL, NULL, &text, &error)));
    BOTH_BACK(FAILS(INVALID_HANDLE, "engine",
                    psnd_engine_comparison_page(freed, &one, &other, NULL, NULL, NULL, &text, &error)));
    BOTH_BACK(FAILS(INVALID_VALUE, "report",
                    psnd_engine_comparison_page(engine, &one, &other, "[", NULL, NULL, &text, &error)));
    BOTH_BACK(FAILS(OUT_OF_RANGE, "call.struct_size",
                    psnd_engine_comparison_page(engine, &one, &other, NULL, NULL, &wrong, &text, &error)));
    BOTH_BACK(readers[0].read = NULL; FAILS(INVALID_VALUE, "reader.read",
                                            psnd_engine_comparison_page(engine, &one, &other, NULL, NULL, NULL, &text, &error)));
    ONE_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_recommend(freed, &one, NULL, NULL, &text, &error)));
    ONE_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_waveform_peaks(freed, &one, NULL, NULL, &text, &error)));
    ONE_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_waveform_png(freed, &one, NULL, NULL, &data, &size, &error)));
    ONE_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_spectrogram_png(freed, &one, NULL, NULL, &data, &size, &error)));
    ONE_BACK(FAILS(INVALID_HANDLE, "engine", psnd_engine_analysis_page(freed, &one, NULL, NULL, &text, NULL, &error)));
    ONE_BACK(OK(psnd_engine_spectrogram_png(engine, &one, "{\"width\": 200, \"height\": 80}", NULL, &data, &size, NULL)));
    check_png(data, size, 200, 80);
    CHECK(text == NULL);
}

/* What is cancelled gives nothing; what belongs to the call is given back. */
static void test_cancelled(psnd_engine engine, const psnd_input *input) {
    psnd_call call = PSND_CALL_INIT;
    struct host listener = {0, 0};
    char *text = NULL;
    uint8_t *data = NULL;
    size_t size = 0;
    OK(psnd_cancel_new(&call.cancel, NULL));
    OK(psnd_cancel_cancel(call.cancel, NULL));
    call.user_data = &listener;
    call.destroy = host_destroy;
    FAILS(CANCELLED, "cancelled", psnd_engine_compare(engine, input, input, NULL, &call, &text, &error));
    FAILS(CANCELLED, "cancelled", psnd_engine_waveform_peaks(engine, input, NULL, &call, &text, &error));
    FAILS(CANCELLED, "cancelled", psnd_engine_waveform_png(engine, input, NULL, &call, &data, &size, &error));
    FAILS(CANCELLED, "cancelled", psnd_engine_spectrogram_png(engine, input, NULL, &call, &data, &size, &error));
    FAILS(CANCELLED, "cancelled", psnd_engine_analysis_page(engine, input, NULL, &call, &text, NULL, &error));
    FAILS(CANCELLED, "cancelled", psnd_engine_comparison_page(engine, input, input, NULL, NULL, &call, &text, &error));
    CHECK(listener.destroyed == 6 && text == NULL && data == NULL && size == 0);
    OK(psnd_cancel_free(call.cancel));
}

void test_pictures(void) {
    psnd_engine engine = 0, freed = 0;
    psnd_input input = PSND_INPUT_INIT;
    OK(psnd_engine_new("{\"engine\": {\"threads\": 1}}", &freed, NULL));
    OK(psnd_engine_free(freed));
    OK(psnd_engine_new("{\"engine\": {\"threads\": 1}}", &engine, NULL));
    OK(psnd_audio_from_planar((const float *const *)both, 2, FRAMES, 48000, "stereo", &input.audio, NULL));
    OK(psnd_engine_encode_to_memory(engine, input.audio, "{\"format\": \"wav\"}", NULL, &wav, &wav_size, NULL, NULL));
    test_quality(engine, &input);
    test_drawn(engine, &input);
    test_pages(engine, &input);
    test_given_back(engine, freed);
    test_cancelled(engine, &input);
    psnd_bytes_free(wav, wav_size);
    OK(psnd_audio_free(input.audio));
    OK(psnd_engine_free(engine));
}
