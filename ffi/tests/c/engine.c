/* The engine: files, memory, functions of the host; right and wrong. */
#include <errno.h>

#include "check.h"

/* A WAV of 800 frames, mono, 8 kHz, 16 bits, in memory. */
static unsigned char wav[44 + 1600];

static void fill_wav(void) {
    static const unsigned char head[44] = {'R', 'I', 'F', 'F', 0x64, 0x06, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16, 0, 0, 0, 1, 0,
                                           1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0, 'd', 'a', 't', 'a', 0x40, 0x06, 0, 0};
    size_t index;
    memcpy(wav, head, sizeof head);
    for (index = 0; index < 1600; index++) {
        wav[44 + index] = (unsigned char)(index % 2 == 0 ? index * 7 : index % 32);
    }
}

struct host {
    size_t position;
    size_t fail_at;
    int destroyed;
    int lies;
};

static int32_t host_read(void *user_data, uint8_t *buffer, size_t size, size_t *out_read) {
    struct host *host = user_data;
    size_t left_over = sizeof wav - host->position;
    if (host->position >= host->fail_at) {
        return EIO;
    }
    if (size > left_over) {
        size = left_over;
    }
    if (size > host->fail_at - host->position) {
        size = host->fail_at - host->position;
    }
    memcpy(buffer, wav + host->position, size);
    host->position += size;
    *out_read = host->lies ? SIZE_MAX : size;
    return 0;
}

static int32_t host_seek(void *user_data, uint64_t position) {
    struct host *host = user_data;
    if (position > sizeof wav) {
        return EINVAL;
    }
    host->position = (size_t)position;
    return 0;
}

static void host_destroy(void *user_data) {
    ((struct host *)user_data)->destroyed++;
}

static void test_inputs(psnd_engine engine) {
    char *text = NULL;
    psnd_input input = PSND_INPUT_INIT, wrong;
    psnd_reader reader = PSND_READER_INIT;
    struct host host;
    psnd_audio audio = 0;

    input.data = wav;
    input.size = sizeof wav;
    OK(psnd_engine_probe(engine, &input, NULL, &text, NULL));
    HOLDS(text, "\"frames\":800");
    OK(psnd_engine_measure(engine, &input, NULL, NULL, &text, NULL));
    HOLDS(text, "\"frames\":800");
    OK(psnd_engine_tags(engine, &input, NULL, &text, NULL));
    HOLDS(text, "\"fields\":[]");
    OK(psnd_engine_decode(engine, &input, NULL, NULL, &audio, NULL));
    OK(psnd_audio_free(audio));
    input.size = 0;
    FAILS(EMPTY, "holds no audio", psnd_engine_probe(engine, &input, NULL, &text, &error));
    input.size = SIZE_MAX;
    FAILS(INVALID_VALUE, "input.size", psnd_engine_probe(engine, &input, NULL, &text, &error));
    input.size = 20;
    FAILS(MALFORMED, "WAV", psnd_engine_probe(engine, &input, NULL, &text, &error));

    /* No kind, two kinds, struct sizes of no version. */
    FAILS(INVALID_VALUE, "\"input\"", psnd_engine_probe(engine, NULL, NULL, &text, &error));
    wrong = input;
    wrong.data = NULL;
    FAILS(INVALID_VALUE, "0 kinds", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong = input;
    wrong.path = recording;
    FAILS(INVALID_VALUE, "2 kinds", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong.struct_size = 0;
    FAILS(OUT_OF_RANGE, "input.struct_size", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong.struct_size = SIZE_MAX;
    FAILS(OUT_OF_RANGE, "input.struct_size", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    {
        /* A struct of a version to come: what this library does not know is not read. */
        struct {
            psnd_input known;
            char unknown[64];
        } later;
        memset(&later, 0x5a, sizeof later);
        memset(&later.known, 0, sizeof later.known);
        later.known.struct_size = sizeof later;
        later.known.data = wav;
        later.known.size = sizeof wav;
        OK(psnd_engine_probe(engine, &later.known, NULL, &text, NULL));
        HOLDS(text, "\"frames\":800");
        later.known.struct_size = sizeof later.known - 1;
        FAILS(OUT_OF_RANGE, "input.struct_size", psnd_engine_probe(engine, &later.known, NULL, &text, &error));
    }
    memset(&wrong, 0, sizeof wrong);
    wrong.struct_size = sizeof wrong;
    wrong.audio = 12345;
    FAILS(INVALID_HANDLE, "audio", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong.audio = 0;
    wrong.path = "\xff.wav";
    FAILS(INVALID_VALUE, "UTF-8", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong.path = "";
    FAILS(NOT_FOUND, "path", psnd_engine_probe(engine, &wrong, NULL, &text, &error));
    wrong.path = in_folder("none.wav");
    FAILS(NOT_FOUND, "none.wav", psnd_engine_probe(engine, &wrong, NULL, &text, &error));

    /* The host's own reader; what belongs to it is given back exactly once, whatever happens. */
    memset(&input, 0, sizeof input);
    input.struct_size = sizeof input;
    input.reader = &reader;
    reader.read = host_read;
    reader.seek = host_seek;
    reader.size = sizeof wav;
    reader.user_data = &host;
    reader.destroy = host_destroy;
#define WITH_READER(...)                                     \
    memset(&host, 0, sizeof host);                           \
    host.fail_at = SIZE_MAX;                                 \
    __VA_ARGS__;                                             \
    CHECK(host.destroyed == 1)
    WITH_READER(OK(psnd_engine_probe(engine, &input, NULL, &text, NULL)));
    HOLDS(text, "\"frames\":800");
    WITH_READER(host.fail_at = 100;
                FAILS(IO, "\"os_error\":5", psnd_engine_measure(engine, &input, NULL, NULL, &text, &error)));
    WITH_READER(host.lies = 1; FAILS(IO, "more bytes", psnd_engine_measure(engine, &input, NULL, NULL, &text, &error)));
    WITH_READER(FAILS(INVALID_HANDLE, "engine", psnd_engine_probe(1, &input, NULL, &text, &error)));
    WITH_READER(FAILS(INVALID_VALUE, "options", psnd_engine_probe(engine, &input, "[1", &text, &error)));
    WITH_READER(GIVES(INVALID_VALUE, psnd_engine_probe(engine, &input, NULL, NULL, NULL)));
    input.path = recording;
    WITH_READER(GIVES(INVALID_VALUE, psnd_engine_probe(engine, &input, NULL, &text, NULL)));
    input.path = NULL;
    reader.read = NULL;
    WITH_READER(FAILS(INVALID_VALUE, "reader.read", psnd_engine_probe(engine, &input, NULL, &text, &error)));
    reader.read = host_read;
    reader.seek = NULL; /* a pipe */
    WITH_READER(OK(psnd_engine_probe(engine, &input, NULL, &text, NULL)));
    HOLDS(text, "\"frames\":800");
    reader.seek = host_seek;
    reader.struct_size = 1;
    memset(&host, 0, sizeof host);
    GIVES(OUT_OF_RANGE, psnd_engine_probe(engine, &input, NULL, &text, NULL));
    CHECK(host.destroyed == 0); /* what cannot be read is not taken over */
#undef WITH_READER
}

static void test_recipes(psnd_engine engine) {
    char *text = NULL;
    psnd_input input = PSND_INPUT_INIT;
    psnd_outputs outputs = 0;
    const uint8_t *data = NULL;
    size_t count = 0;
    char request[2048];
    FILE *file;

    input.data = wav;
    input.size = sizeof wav;
    OK(psnd_engine_presets(engine, &text, NULL));
    HOLDS(text, "\"podcast\"");
    OK(psnd_engine_preset(engine, "podcast", &text, NULL));
    HOLDS(text, "-16");
    FAILS(UNKNOWN_NAME, "\"suggestion\":\"podcast\"", psnd_engine_preset(engine, "podcats", &text, &error));
    FAILS(INVALID_VALUE, "\"name\"", psnd_engine_preset(engine, NULL, &text, &error));
    OK(psnd_engine_recipe(engine, "{\"preset\": \"podcast\", \"output\": \"a.opus\"}", &text, NULL));
    HOLDS(text, "a.opus");
    FAILS(INVALID_VALUE, "\"request\"", psnd_engine_recipe(engine, NULL, &text, &error));
    FAILS(INVALID_VALUE, "JSON", psnd_engine_recipe(engine, "{", &text, &error));
    FAILS(INVALID_VALUE, "outputz", psnd_engine_recipe(engine, "{\"outputz\": 1}", &text, &error));
    OK(psnd_engine_plan(engine, &input, "{\"output\": \"a.flac\"}", &text, NULL));
    HOLDS(text, "a.flac");
    FAILS(UNKNOWN_NAME, "wva", psnd_engine_plan(engine, &input, "{\"output\": \"a.wva\"}", &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_plan(engine, &input, "{\"output\": \"a.flac\"}", NULL, &error));

    /* To a file. */
    snprintf(request, sizeof request, "{\"output\": \"%s\"}", in_folder("made.wav"));
    OK(psnd_engine_process(engine, &input, request, NULL, &text, NULL));
    HOLDS(text, "\"report_version\"");
    file = fopen(in_folder("made.wav"), "rb");
    CHECK(file != NULL);
    if (file != NULL) {
        fclose(file);
    }
    OK(psnd_engine_process(engine, &input, request, NULL, NULL, NULL));
    snprintf(request, sizeof request, "{\"input\": \"%s\", \"output\": \"%s\"}", in_folder("made.wav"), in_folder("again.flac"));
    OK(psnd_engine_process(engine, NULL, request, NULL, &text, NULL));
    psnd_string_free(text);
    OK(psnd_engine_plan(engine, NULL, request, &text, NULL));
    psnd_string_free(text);
    text = NULL;
    FAILS(INVALID_VALUE, "\"request\"", psnd_engine_process(engine, &input, NULL, NULL, &text, &error));
    snprintf(request, sizeof request, "{\"output\": \"%s\"}", in_folder("no/made.wav"));
    FAILS(NOT_FOUND, "/no\"", psnd_engine_process(engine, &input, request, NULL, &text, &error));

    /* To memory. */
    OK(psnd_engine_process_to_memory(engine, &input, "{\"outputs\": [{\"format\": {\"format\": \"flac\"}}]}", NULL, &text, &outputs,
                                     NULL));
    HOLDS(text, "\"outputs\"");
    OK(psnd_outputs_count(outputs, &count, NULL));
    CHECK(count == 1);
    OK(psnd_outputs_bytes(outputs, 0, &data, &count, NULL));
    CHECK(count > 100 && data != NULL && memcmp(data, "fLaC", 4) == 0);
    FAILS(OUT_OF_RANGE, "index", psnd_outputs_bytes(outputs, 1, &data, &count, &error));
    FAILS(INVALID_VALUE, "out_data", psnd_outputs_bytes(outputs, 0, NULL, &count, &error));
    FAILS(INVALID_VALUE, "out_size", psnd_outputs_bytes(outputs, 0, &data, NULL, &error));
    FAILS(INVALID_VALUE, "out_count", psnd_outputs_count(outputs, NULL, &error));
    OK(psnd_outputs_free(outputs));
    FAILS(INVALID_VALUE, "out_outputs", psnd_engine_process_to_memory(engine, &input, "{}", NULL, NULL, NULL, &error));
    FAILS(INVALID_VALUE, "format",
          psnd_engine_process_to_memory(engine, &input, "{\"outputs\": [{}]}", NULL, &text, &outputs, &error));
    CHECK(text == NULL);
}

static void test_encoding(psnd_engine engine) {
    char *text = NULL;
    psnd_audio audio = 0;
    uint8_t *data = NULL;
    size_t size = 0;
    OK(psnd_audio_from_planar((const float *const *)both, 2, 4800, 48000, "stereo", &audio, NULL));
    OK(psnd_engine_encode(engine, audio, in_folder("e.flac"), NULL, NULL, &text, NULL));
    HOLDS(text, "\"frames\":4800");
    OK(psnd_engine_encode(engine, audio, in_folder("e.bin"), "{\"format\": \"wav\"}", "{\"fields\": []}", NULL, NULL));
    FAILS(UNKNOWN_NAME, "bin", psnd_engine_encode(engine, audio, in_folder("e.bin"), NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"path\"", psnd_engine_encode(engine, audio, NULL, NULL, NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"format\"", psnd_engine_encode(engine, audio, "e.wav", "{\"format\": \"wva\"}", NULL, &text, &error));
    FAILS(INVALID_VALUE, "\"metadata\"", psnd_engine_encode(engine, audio, "e.wav", NULL, "{\"fields\": 3}", &text, &error));
    FAILS(INVALID_HANDLE, "\"audio\"", psnd_engine_encode(engine, engine, "e.wav", NULL, NULL, &text, &error));
    OK(psnd_engine_encode_to_memory(engine, audio, "{\"format\": \"wav\"}", NULL, &data, &size, &text, NULL));
    HOLDS(text, "\"frames\":4800");
    CHECK(size > 4800 * 4 && data != NULL && memcmp(data, "RIFF", 4) == 0);
    psnd_bytes_free(data, size);
    OK(psnd_engine_encode_to_memory(engine, audio, "{\"format\": \"wav\"}", NULL, &data, &size, NULL, NULL));
    psnd_bytes_free(data, size);
    FAILS(INVALID_VALUE, "\"format\"", psnd_engine_encode_to_memory(engine, audio, NULL, NULL, &data, &size, NULL, &error));
    FAILS(INVALID_VALUE, "out_data", psnd_engine_encode_to_memory(engine, audio, "{}", NULL, NULL, &size, NULL, &error));
    FAILS(INVALID_VALUE, "out_size", psnd_engine_encode_to_memory(engine, audio, "{}", NULL, &data, NULL, NULL, &error));
    OK(psnd_audio_free(audio));
}

void test_engine(void) {
    psnd_engine engine = 0;
    char *text = NULL;
    fill_wav();
    FAILS(INVALID_VALUE, "out_engine", psnd_engine_new(NULL, NULL, &error));
    FAILS(INVALID_VALUE, "JSON", psnd_engine_new("{", &engine, &error));
    FAILS(INVALID_VALUE, "settings", psnd_engine_new("[]", &engine, &error));
    FAILS(INVALID, "threads", psnd_engine_new("{\"engine\": {\"thread\": 1}}", &engine, &error));
    FAILS(INVALID, "problems", psnd_engine_new("{\"engine\": {\"threads\": -1}}", &engine, &error));
    CHECK(engine == 0);
    OK(psnd_engine_new("{\"engine\": {\"threads\": 2}}", &engine, NULL));
    OK(psnd_engine_config(engine, &text, NULL));
    HOLDS(text, "\"threads\":2");
    FAILS(INVALID_VALUE, "out_json", psnd_engine_config(engine, NULL, &error));
    test_inputs(engine);
    test_recipes(engine);
    test_encoding(engine);
    OK(psnd_engine_free(engine));
}
