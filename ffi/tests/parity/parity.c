/* The cases of tests/parity in C. */
#define _XOPEN_SOURCE 700
#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "puresound.h"
#include "support.h"

static const char *case_name = "";
static unsigned long differences;

/* A case that cannot be run, or a runner that cannot go on. */
static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", case_name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(2);
}

static void *memory(size_t size) {
    void *made = calloc(size > 0 ? size : 1, 1);
    if (made == NULL) {
        die("out of memory");
    }
    return made;
}

/* ---- Arguments ---- */

static const cJSON *get(const cJSON *args, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(args, key);
}

static const char *text(const cJSON *args, const char *key) {
    return cJSON_GetStringValue(get(args, key));
}

static size_t number(const cJSON *args, const char *key, size_t otherwise) {
    const cJSON *item = get(args, key);
    return cJSON_IsNumber(item) ? (size_t)item->valuedouble : otherwise;
}

static int flag(const cJSON *args, const char *key) {
    return cJSON_IsTrue(get(args, key));
}

/* An argument as JSON text; NULL when it is left out. Kept until the case is over. */
static char *printed[16];
static size_t printed_count;
static const char *json(const cJSON *args, const char *key) {
    const cJSON *item = get(args, key);
    if (item == NULL) {
        return NULL;
    }
    if (printed_count == sizeof printed / sizeof *printed) {
        die("too many arguments");
    }
    return printed[printed_count++] = cJSON_PrintUnformatted(item);
}

/* Text of the library as a JSON value. */
static cJSON *taken(char *from) {
    cJSON *value = cJSON_Parse(from);
    if (value == NULL) {
        die("no JSON: %s", from);
    }
    psnd_string_free(from);
    return value;
}

/* ---- Signals and inputs ---- */

typedef struct {
    float **channels;
    size_t channel_count;
    size_t frames;
    uint32_t rate_hz;
    char layout[32];
} signal_data;

static signal_data new_signal(size_t channels, size_t frames, uint32_t rate_hz) {
    signal_data made;
    size_t channel;
    made.channels = memory(channels * sizeof *made.channels);
    made.channel_count = channels;
    made.frames = frames;
    made.rate_hz = rate_hz;
    made.layout[0] = '\0';
    for (channel = 0; channel < channels; channel++) {
        made.channels[channel] = memory(frames * sizeof(float));
    }
    return made;
}

static void free_signal(signal_data *self) {
    size_t channel;
    for (channel = 0; channel < self->channel_count; channel++) {
        free(self->channels[channel]);
    }
    free(self->channels);
}

static signal_data make_signal(const cJSON *from) {
    signal_data made = new_signal(number(from, "channels", 1), number(from, "frames", 0), (uint32_t)number(from, "rate_hz", 48000));
    const char *kind = text(from, "kind");
    const char *of = kind == NULL ? "" : strcmp(kind, "noise") == 0 ? "seed" : strcmp(kind, "square") == 0 ? "period_frames" : "at";
    const cJSON *gain = get(from, "gain");
    size_t channel;
    if (text(from, "layout") != NULL) {
        snprintf(made.layout, sizeof made.layout, "%s", text(from, "layout"));
    } else {
        snprintf(made.layout, sizeof made.layout, "%lu", (unsigned long)made.channel_count);
    }
    for (channel = 0; channel < made.channel_count; channel++) {
        if (kind == NULL || !fill_signal(kind, (uint32_t)number(from, of, 0), gain == NULL ? 1.0f : (float)gain->valuedouble, channel,
                                         made.channels[channel], made.frames)) {
            die("unknown signal");
        }
    }
    return made;
}

static float *interleaved(const signal_data *from, size_t start, size_t frames) {
    float *samples = memory(frames * from->channel_count * sizeof *samples);
    size_t frame, channel;
    for (frame = 0; frame < frames; frame++) {
        for (channel = 0; channel < from->channel_count; channel++) {
            samples[frame * from->channel_count + channel] = from->channels[channel][start + frame];
        }
    }
    return samples;
}

static void deinterleave(const float *samples, float *const *to, size_t channel_count, size_t frames) {
    size_t frame, channel;
    for (frame = 0; frame < frames; frame++) {
        for (channel = 0; channel < channel_count; channel++) {
            to[channel][frame] = samples[frame * channel_count + channel];
        }
    }
}

/* Pointers to the channels from a frame on. */
static float **from_frame(const signal_data *of, size_t start) {
    float **pointers = memory(of->channel_count * sizeof *pointers);
    size_t channel;
    for (channel = 0; channel < of->channel_count; channel++) {
        pointers[channel] = of->channels[channel] + start;
    }
    return pointers;
}

/* The input of a case, with what it borrows. */
typedef struct {
    psnd_input input;
    unsigned char *bytes;
} input_data;

static psnd_status make_input(const cJSON *from, input_data *made, psnd_error **error) {
    static const psnd_input empty = PSND_INPUT_INIT;
    const char *path = text(from, "path"), *file = text(from, "file"), *encoded = text(from, "base64");
    size_t size = 0;
    const cJSON *part;
    made->input = empty;
    made->bytes = NULL;
    if (get(from, "signal") != NULL) {
        signal_data samples = make_signal(get(from, "signal"));
        const psnd_status status =
            psnd_audio_from_planar((const float *const *)samples.channels, samples.channel_count, samples.frames, samples.rate_hz,
                                   samples.layout, &made->input.audio, error);
        free_signal(&samples);
        return status;
    }
    if (path != NULL) {
        made->input.path = path;
    } else if (encoded != NULL) {
        made->bytes = base64_decode(encoded, &size);
    } else if (file == NULL) {
        die("unknown input");
    } else if (get(from, "damage") == NULL && get(from, "keep_bytes") == NULL && !flag(from, "memory")) {
        made->input.path = file;
    } else {
        made->bytes = read_file(file, &size);
        if (made->bytes == NULL) {
            die("cannot read %s", file);
        }
        size = size < number(from, "keep_bytes", size) ? size : number(from, "keep_bytes", size);
        cJSON_ArrayForEach(part, get(from, "damage")) {
            size_t at = number(part, "at", 0), end = at + number(part, "count", 0);
            for (; at < end && at < size; at++) {
                made->bytes[at] = (unsigned char)(made->bytes[at] ^ number(part, "xor", 0));
            }
        }
    }
    made->input.data = made->bytes;
    made->input.size = size;
    return PSND_STATUS_OK;
}

static void free_input(input_data *made) {
    psnd_audio_free(made->input.audio);
    free(made->bytes);
}

static void add_digest(cJSON *result, const char *key, sha256 *digest) {
    char hex[65];
    sha256_end(digest, hex);
    cJSON_AddStringToObject(result, key, hex);
}

static void add_bytes(cJSON *result, const void *data, size_t size) {
    sha256 digest;
    sha256_start(&digest);
    sha256_add(&digest, data, size);
    cJSON_AddNumberToObject(result, "bytes", (double)size);
    add_digest(result, "sha256", &digest);
}

static void add_file(cJSON *result, const char *path) {
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    if (bytes == NULL) {
        die("cannot read %s", path);
    }
    add_bytes(result, bytes, size);
    free(bytes);
}

static void add_lufs(cJSON *result, const char *key, double lufs) {
    if (isfinite(lufs)) {
        cJSON_AddNumberToObject(result, key, lufs);
    } else {
        cJSON_AddNullToObject(result, key);
    }
}

/* ---- Operations ---- */

/* Everything an operation has: it gives a result, or fails with an error. */
typedef struct {
    const cJSON *args;
    psnd_engine engine;
    input_data input;
    const psnd_input *given;
    psnd_error *error;
} context;

/* Leaves the operation when a call fails. */
#define TRY(call)                  \
    do {                           \
        if ((call) != PSND_STATUS_OK) { \
            return NULL;           \
        }                          \
    } while (0)

static cJSON *names_of(const cJSON *list, const char *key) {
    cJSON *result = cJSON_CreateObject(), *names = cJSON_AddArrayToObject(result, "names");
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        cJSON_AddItemToArray(names, cJSON_CreateString(key == NULL ? item->string : text(item, key)));
    }
    return result;
}

static cJSON *op_version(context *self) {
    cJSON *result = cJSON_CreateObject();
    (void)self;
    cJSON_AddStringToObject(result, "version", psnd_version());
    return result;
}

static cJSON *op_error_table(context *self) {
    char *out = NULL;
    cJSON *result;
    const cJSON *row;
    TRY(psnd_error_table(&out, &self->error));
    result = cJSON_CreateObject();
    cJSON_AddItemToObject(result, "errors", taken(out));
    /* The functions and the table are one. */
    cJSON_ArrayForEach(row, get(result, "errors")) {
        const int code = (int)number(row, "code", 0);
        if (strcmp(psnd_status_name(code), text(row, "name")) != 0 || strcmp(psnd_status_kind(code), text(row, "kind")) != 0) {
            die("psnd_status_name(%d) is not that of the table", code);
        }
    }
    return result;
}

static cJSON *op_presets(context *self) {
    char *out = NULL;
    cJSON *list, *result;
    TRY(psnd_engine_presets(self->engine, &out, &self->error));
    list = taken(out);
    result = names_of(list, "name");
    cJSON_Delete(list);
    return result;
}

static cJSON *op_preset(context *self) {
    char *out = NULL;
    TRY(psnd_engine_preset(self->engine, text(self->args, "preset"), &out, &self->error));
    return taken(out);
}

static cJSON *op_filters(context *self) {
    char *out = NULL;
    const char *wanted = text(self->args, "filter");
    cJSON *list, *result = NULL;
    const cJSON *item;
    TRY(psnd_filters(&out, &self->error));
    list = taken(out);
    result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "count", cJSON_GetArraySize(list));
    cJSON_ArrayForEach(item, list) {
        if (wanted != NULL && strcmp(text(item, "name"), wanted) == 0) {
            cJSON_AddItemToObject(result, "filter", cJSON_Duplicate(item, 1));
        }
    }
    cJSON_Delete(list);
    return result;
}

static cJSON *op_schema(context *self) {
    char *out = NULL;
    const char *wanted = text(self->args, "schema");
    cJSON *all, *result;
    TRY(psnd_schema(wanted, &out, &self->error));
    all = taken(out);
    if (wanted != NULL) {
        return all;
    }
    result = names_of(all, NULL);
    cJSON_Delete(all);
    return result;
}

static cJSON *op_recipe(context *self) {
    char *out = NULL;
    TRY(psnd_engine_recipe(self->engine, json(self->args, "request"), &out, &self->error));
    return taken(out);
}

static cJSON *op_config(context *self) {
    char *out = NULL;
    TRY(psnd_engine_config(self->engine, &out, &self->error));
    return taken(out);
}

static cJSON *op_probe(context *self) {
    char *out = NULL;
    TRY(psnd_engine_probe(self->engine, self->given, json(self->args, "options"), &out, &self->error));
    return taken(out);
}

static cJSON *op_tags(context *self) {
    char *out = NULL;
    TRY(psnd_engine_tags(self->engine, self->given, json(self->args, "options"), &out, &self->error));
    return taken(out);
}

static cJSON *op_measure(context *self) {
    char *out = NULL;
    TRY(psnd_engine_measure(self->engine, self->given, json(self->args, "options"), NULL, &out, &self->error));
    return taken(out);
}

static cJSON *op_analyse(context *self) {
    char *out = NULL;
    TRY(psnd_engine_analyse(self->engine, self->given, json(self->args, "options"), NULL, &out, &self->error));
    return taken(out);
}

static cJSON *op_check(context *self) {
    char *out = NULL;
    TRY(psnd_engine_check(self->engine, self->given, json(self->args, "specifications"), json(self->args, "options"), NULL, &out,
                          &self->error));
    return taken(out);
}

static cJSON *op_classify(context *self) {
    char *out = NULL;
    TRY(psnd_engine_classify(self->engine, self->given, json(self->args, "options"), NULL, &out, &self->error));
    return taken(out);
}

static cJSON *op_recommend(context *self) {
    char *out = NULL;
    TRY(psnd_engine_recommend(self->engine, self->given, json(self->args, "options"), NULL, &out, &self->error));
    return taken(out);
}

static cJSON *op_compare(context *self) {
    input_data reference, degraded;
    char *out = NULL;
    psnd_status status;
    TRY(make_input(get(self->args, "reference"), &reference, &self->error));
    TRY(make_input(get(self->args, "degraded"), &degraded, &self->error));
    status = psnd_engine_compare(self->engine, &reference.input, &degraded.input, json(self->args, "options"), NULL, &out, &self->error);
    free_input(&reference);
    free_input(&degraded);
    TRY(status);
    return taken(out);
}

static cJSON *op_waveform_peaks(context *self) {
    char *out = NULL;
    TRY(psnd_engine_waveform_peaks(self->engine, self->given, json(self->args, "options"), NULL, &out, &self->error));
    return taken(out);
}

static double big_endian(const uint8_t *bytes) {
    return ((bytes[0] * 256.0 + bytes[1]) * 256.0 + bytes[2]) * 256.0 + bytes[3];
}

static cJSON *op_picture(context *self) {
    const char *of = text(self->args, "of"), *options = json(self->args, "options");
    uint8_t *png = NULL;
    size_t size = 0;
    cJSON *result;
    if (of != NULL && strcmp(of, "waveform") == 0) {
        TRY(psnd_engine_waveform_png(self->engine, self->given, options, NULL, &png, &size, &self->error));
    } else if (of != NULL && strcmp(of, "spectrogram") == 0) {
        TRY(psnd_engine_spectrogram_png(self->engine, self->given, options, NULL, &png, &size, &self->error));
    } else {
        die("a picture of %s", of == NULL ? "nothing" : of);
    }
    if (size < 24) {
        die("a picture of %lu bytes", (unsigned long)size);
    }
    result = cJSON_CreateObject();
    add_bytes(result, png, size);
    cJSON_AddNumberToObject(result, "width", big_endian(png + 16));
    cJSON_AddNumberToObject(result, "height", big_endian(png + 20));
    psnd_bytes_free(png, size);
    return result;
}

/* Tells which texts of the case are in a page, which is freed. */
static void add_found(context *self, cJSON *result, char *html) {
    cJSON *found = cJSON_AddObjectToObject(result, "found");
    const cJSON *wanted;
    cJSON_ArrayForEach(wanted, get(self->args, "find")) {
        cJSON_AddBoolToObject(found, wanted->valuestring, strstr(html, wanted->valuestring) != NULL);
    }
    psnd_string_free(html);
}

static cJSON *op_page(context *self) {
    char *html = NULL, *out = NULL;
    cJSON *result;
    TRY(psnd_engine_analysis_page(self->engine, self->given, json(self->args, "options"), NULL, &html, &out, &self->error));
    result = taken(out);
    add_found(self, result, html);
    return result;
}

static cJSON *op_page_of_two(context *self) {
    static const psnd_input empty = PSND_INPUT_INIT;
    const char *request = json(self->args, "request");
    input_data before, after;
    psnd_outputs outputs = 0;
    char *report = NULL, *html = NULL;
    psnd_status status;
    cJSON *result;
    TRY(make_input(get(self->args, "before"), &before, &self->error));
    if (request == NULL) {
        TRY(make_input(get(self->args, "after"), &after, &self->error));
    } else {
        const uint8_t *data = NULL;
        TRY(psnd_engine_process_to_memory(self->engine, &before.input, request, NULL, &report, &outputs, &self->error));
        after.input = empty;
        after.bytes = NULL;
        TRY(psnd_outputs_bytes(outputs, 0, &data, &after.input.size, &self->error));
        after.input.data = data;
    }
    status = psnd_engine_comparison_page(self->engine, &before.input, &after.input, report, json(self->args, "options"), NULL, &html,
                                         &self->error);
    psnd_outputs_free(outputs);
    psnd_string_free(report);
    free_input(&before);
    free_input(&after);
    TRY(status);
    result = cJSON_CreateObject();
    add_found(self, result, html);
    return result;
}

static cJSON *op_plan(context *self) {
    char *out = NULL;
    TRY(psnd_engine_plan(self->engine, self->given, json(self->args, "request"), &out, &self->error));
    return taken(out);
}

/* True when the outputs have no path. */
static int to_memory(const cJSON *request) {
    const cJSON *outputs = get(request, "outputs"), *output;
    cJSON_ArrayForEach(output, outputs) {
        if (!cJSON_IsObject(output) || text(output, "path") != NULL) {
            return 0;
        }
    }
    return cJSON_GetArraySize(outputs) > 0;
}

static cJSON *process(context *self, const psnd_call *call) {
    const cJSON *request = get(self->args, "request"), *report;
    char *out = NULL;
    cJSON *result, *list;
    psnd_outputs outputs = 0;
    const int in_memory = to_memory(request);
    if (in_memory) {
        TRY(psnd_engine_process_to_memory(self->engine, self->given, json(self->args, "request"), call, &out, &outputs, &self->error));
    } else {
        TRY(psnd_engine_process(self->engine, self->given, json(self->args, "request"), call, &out, &self->error));
    }
    result = cJSON_CreateObject();
    report = taken(out);
    cJSON_AddItemToObject(result, "report", (cJSON *)report);
    list = cJSON_AddArrayToObject(result, "outputs");
    if (in_memory) {
        size_t count = 0, index;
        TRY(psnd_outputs_count(outputs, &count, &self->error));
        for (index = 0; index < count; index++) {
            const uint8_t *data = NULL;
            size_t size = 0;
            cJSON *row = cJSON_CreateObject();
            TRY(psnd_outputs_bytes(outputs, index, &data, &size, &self->error));
            add_bytes(row, data, size);
            cJSON_AddItemToArray(list, row);
        }
        psnd_outputs_free(outputs);
    } else {
        const cJSON *output;
        cJSON_ArrayForEach(output, get(report, "outputs")) {
            cJSON *row = cJSON_CreateObject();
            add_file(row, text(output, "path"));
            cJSON_AddItemToArray(list, row);
        }
    }
    return result;
}

static cJSON *op_process(context *self) {
    return process(self, NULL);
}

static cJSON *op_decode(context *self) {
    psnd_audio audio = 0;
    uint32_t rate_hz = 0;
    size_t channels = 0, frames = 0, channel;
    char *layout = NULL;
    const float *pointers[64];
    sha256 digest;
    cJSON *result;
    TRY(psnd_engine_decode(self->engine, self->given, json(self->args, "options"), NULL, &audio, &self->error));
    TRY(psnd_audio_rate_hz(audio, &rate_hz, &self->error));
    TRY(psnd_audio_channels(audio, &channels, &self->error));
    TRY(psnd_audio_frames(audio, &frames, &self->error));
    TRY(psnd_audio_layout(audio, &layout, &self->error));
    for (channel = 0; channel < channels && channel < 64; channel++) {
        TRY(psnd_audio_channel(audio, channel, &pointers[channel], &self->error));
    }
    sha256_start(&digest);
    sha256_add_planar(&digest, pointers, channels, frames);
    result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "rate_hz", rate_hz);
    cJSON_AddNumberToObject(result, "channels", (double)channels);
    cJSON_AddStringToObject(result, "layout", layout);
    cJSON_AddNumberToObject(result, "frames", (double)frames);
    add_digest(result, "sha256", &digest);
    psnd_string_free(layout);
    psnd_audio_free(audio);
    return result;
}

static cJSON *encoded(char *told, uint8_t *data, size_t size, const char *path) {
    cJSON *result = cJSON_CreateObject();
    cJSON_AddItemToObject(result, "encoded", taken(told));
    if (path != NULL) {
        add_file(result, path);
    } else {
        add_bytes(result, data, size);
        psnd_bytes_free(data, size);
    }
    return result;
}

static cJSON *op_encode(context *self) {
    signal_data samples = make_signal(get(self->args, "signal"));
    const char *path = text(self->args, "path");
    psnd_audio audio = 0;
    char *told = NULL;
    uint8_t *data = NULL;
    size_t size = 0;
    TRY(psnd_audio_from_planar((const float *const *)samples.channels, samples.channel_count, samples.frames, samples.rate_hz,
                               samples.layout, &audio, &self->error));
    free_signal(&samples);
    if (path != NULL) {
        TRY(psnd_engine_encode(self->engine, audio, path, json(self->args, "format"), json(self->args, "metadata"), &told,
                               &self->error));
    } else {
        TRY(psnd_engine_encode_to_memory(self->engine, audio, json(self->args, "format"), json(self->args, "metadata"), &data, &size,
                                         &told, &self->error));
    }
    psnd_audio_free(audio);
    return encoded(told, data, size, path);
}

/* Sends all of a signal through a chain in blocks, in place. */
static psnd_status pass(context *self, psnd_chain chain, signal_data *samples) {
    const size_t block_frames = number(self->args, "block_frames", 480);
    const int flat = flag(self->args, "interleaved");
    const cJSON *changes = get(self->args, "changes"), *change;
    size_t at = 0;
    psnd_status status = PSND_STATUS_OK;
    while (at < samples->frames && status == PSND_STATUS_OK) {
        size_t end = at + block_frames < samples->frames ? at + block_frames : samples->frames;
        float **pointers = from_frame(samples, at);
        cJSON_ArrayForEach(change, changes) {
            const size_t border = number(change, "at_frame", 0);
            if (border > at && border < end) {
                end = border;
            }
        }
        cJSON_ArrayForEach(change, changes) {
            if (number(change, "at_frame", 0) == at && status == PSND_STATUS_OK) {
                status = psnd_chain_set_parameter(chain, number(change, "filter", 0), text(change, "parameter"),
                                                  cJSON_GetNumberValue(get(change, "value")), &self->error);
            }
        }
        if (status == PSND_STATUS_OK && flat) {
            float *block = interleaved(samples, at, end - at);
            status = psnd_chain_process_interleaved(chain, block, end - at, &self->error);
            deinterleave(block, pointers, samples->channel_count, end - at);
            free(block);
        } else if (status == PSND_STATUS_OK) {
            status = psnd_chain_process(chain, pointers, samples->channel_count, end - at, &self->error);
        }
        free(pointers);
        at = end;
    }
    return status;
}

static cJSON *op_chain(context *self) {
    signal_data samples = make_signal(get(self->args, "signal"));
    const size_t max_frames = number(self->args, "max_frames", number(self->args, "block_frames", 480));
    psnd_chain chain = 0;
    size_t latency = 0, tail = 0, frames = 0, got = 0;
    cJSON *result;
    int again;
    TRY(psnd_chain_new(json(self->args, "filters"), samples.rate_hz, samples.layout, max_frames, &chain, &self->error));
    TRY(psnd_chain_latency_frames(chain, &latency, &self->error));
    TRY(psnd_chain_tail_frames(chain, &tail, &self->error));
    result = cJSON_CreateObject();
    for (again = 0; again <= flag(self->args, "reset"); again++) {
        sha256 digest;
        sha256_start(&digest);
        if (again) {
            free_signal(&samples);
            samples = make_signal(get(self->args, "signal"));
            TRY(psnd_chain_reset(chain, &self->error));
        }
        TRY(pass(self, chain, &samples));
        sha256_add_planar(&digest, (const float *const *)samples.channels, samples.channel_count, samples.frames);
        frames = samples.frames;
        if (flag(self->args, "finish")) {
            signal_data rest = new_signal(samples.channel_count, 1000, samples.rate_hz);
            do {
                TRY(psnd_chain_finish(chain, rest.channels, rest.channel_count, rest.frames, &got, &self->error));
                sha256_add_planar(&digest, (const float *const *)rest.channels, rest.channel_count, got);
                frames += got;
            } while (got > 0);
            free_signal(&rest);
        }
        add_digest(result, again ? "again" : "sha256", &digest);
    }
    cJSON_AddNumberToObject(result, "frames", (double)frames);
    cJSON_AddNumberToObject(result, "latency_frames", (double)latency);
    cJSON_AddNumberToObject(result, "tail_frames", (double)tail);
    psnd_chain_free(chain);
    free_signal(&samples);
    return result;
}

static cJSON *op_meter(context *self) {
    signal_data samples = make_signal(get(self->args, "signal"));
    const size_t block_frames = number(self->args, "block_frames", 480);
    psnd_meter meter = 0;
    double momentary = 0.0, short_term = 0.0, integrated = 0.0;
    char *summary = NULL;
    size_t at;
    cJSON *result;
    TRY(psnd_meter_new(samples.rate_hz, samples.layout, json(self->args, "options"), &meter, &self->error));
    for (at = 0; at < samples.frames; at += block_frames) {
        const size_t count = samples.frames - at < block_frames ? samples.frames - at : block_frames;
        if (flag(self->args, "interleaved")) {
            float *block = interleaved(&samples, at, count);
            TRY(psnd_meter_push_interleaved(meter, block, count, &self->error));
            free(block);
        } else {
            float **pointers = from_frame(&samples, at);
            TRY(psnd_meter_push(meter, (const float *const *)pointers, samples.channel_count, count, &self->error));
            free(pointers);
        }
    }
    TRY(psnd_meter_momentary_lufs(meter, &momentary, &self->error));
    TRY(psnd_meter_short_term_lufs(meter, &short_term, &self->error));
    TRY(psnd_meter_integrated_lufs(meter, &integrated, &self->error));
    TRY(psnd_meter_summary(meter, &summary, &self->error));
    result = cJSON_CreateObject();
    add_lufs(result, "momentary_lufs", momentary);
    add_lufs(result, "short_term_lufs", short_term);
    add_lufs(result, "integrated_lufs", integrated);
    cJSON_AddItemToObject(result, "summary", taken(summary));
    psnd_meter_free(meter);
    free_signal(&samples);
    return result;
}

static cJSON *op_resample(context *self) {
    signal_data samples = make_signal(get(self->args, "signal"));
    const size_t block_frames = number(self->args, "block_frames", 480), channels = samples.channel_count;
    const int flat = flag(self->args, "interleaved");
    psnd_resampler resampler = 0;
    signal_data out;
    float *flat_out;
    size_t at, room = 0, got = 0, total = 0;
    sha256 digest;
    cJSON *result;
    TRY(psnd_resampler_new(samples.rate_hz, (uint32_t)number(self->args, "to_rate_hz", 0), channels, text(self->args, "quality"),
                           &resampler, &self->error));
    TRY(psnd_resampler_max_output_frames(resampler, block_frames, &room, &self->error));
    out = new_signal(channels, room, samples.rate_hz);
    flat_out = memory(room * channels * sizeof *flat_out);
    sha256_start(&digest);
    for (at = 0; at < samples.frames; at += block_frames) {
        const size_t count = samples.frames - at < block_frames ? samples.frames - at : block_frames;
        if (flat) {
            float *block = interleaved(&samples, at, count);
            TRY(psnd_resampler_process_interleaved(resampler, block, count, flat_out, room, &got, &self->error));
            deinterleave(flat_out, out.channels, channels, got);
            free(block);
        } else {
            float **pointers = from_frame(&samples, at);
            TRY(psnd_resampler_process(resampler, (const float *const *)pointers, channels, count, out.channels, room, &got,
                                       &self->error));
            free(pointers);
        }
        sha256_add_planar(&digest, (const float *const *)out.channels, channels, got);
        total += got;
    }
    do {
        if (flat) {
            TRY(psnd_resampler_finish_interleaved(resampler, flat_out, room, &got, &self->error));
            deinterleave(flat_out, out.channels, channels, got);
        } else {
            TRY(psnd_resampler_finish(resampler, out.channels, channels, room, &got, &self->error));
        }
        sha256_add_planar(&digest, (const float *const *)out.channels, channels, got);
        total += got;
    } while (got > 0);
    result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "frames", (double)total);
    add_digest(result, "sha256", &digest);
    psnd_resampler_free(resampler);
    free(flat_out);
    free_signal(&out);
    free_signal(&samples);
    return result;
}

/* Number of channels that a stream info tells. */
static size_t channels_of(psnd_engine engine, const cJSON *info) {
    /* The name of the layout; audio knows what it means. */
    const char *layout = text(get(info, "spec"), "layout");
    psnd_audio audio = 0;
    size_t channels = 0;
    (void)engine;
    if (psnd_audio_from_interleaved(NULL, 0, 48000, layout, &audio, NULL) != PSND_STATUS_OK ||
        psnd_audio_channels(audio, &channels, NULL) != PSND_STATUS_OK) {
        die("unknown layout %s", layout);
    }
    psnd_audio_free(audio);
    return channels;
}

static cJSON *op_stream_decode(context *self) {
    const size_t max_frames = number(self->args, "max_frames", 4096);
    size_t left = number(self->args, "limit_frames", SIZE_MAX), channels, total = 0, got = 0;
    psnd_decoder decoder = 0;
    char *told = NULL;
    signal_data block;
    float *samples;
    sha256 digest;
    cJSON *result, *info;
    TRY(psnd_decoder_open(self->engine, self->given, json(self->args, "options"), &decoder, &self->error));
    TRY(psnd_decoder_info(decoder, &told, &self->error));
    info = taken(told);
    channels = channels_of(self->engine, info);
    cJSON_Delete(info);
    block = new_signal(channels, max_frames, 0);
    samples = memory(max_frames * channels * sizeof *samples);
    if (get(self->args, "seek") != NULL) {
        TRY(psnd_decoder_seek(decoder, (uint64_t)number(self->args, "seek", 0), &self->error));
    }
    sha256_start(&digest);
    do {
        const size_t count = max_frames < left ? max_frames : left;
        if (flag(self->args, "interleaved")) {
            TRY(psnd_decoder_read_interleaved(decoder, samples, count, &got, &self->error));
            deinterleave(samples, block.channels, channels, got);
        } else {
            TRY(psnd_decoder_read(decoder, block.channels, channels, count, &got, &self->error));
        }
        sha256_add_planar(&digest, (const float *const *)block.channels, channels, got);
        total += got;
        left -= got;
    } while (got > 0 && left > 0);
    result = cJSON_CreateObject();
    TRY(psnd_decoder_info(decoder, &told, &self->error));
    cJSON_AddItemToObject(result, "info", taken(told));
    TRY(psnd_decoder_damage(decoder, &told, &self->error));
    cJSON_AddItemToObject(result, "damage", taken(told));
    cJSON_AddNumberToObject(result, "frames", (double)total);
    add_digest(result, "sha256", &digest);
    psnd_decoder_free(decoder);
    free(samples);
    free_signal(&block);
    return result;
}

static cJSON *op_stream_encode(context *self) {
    signal_data samples = make_signal(get(self->args, "signal"));
    const size_t block_frames = number(self->args, "block_frames", 480), abort_at = number(self->args, "abort_at_frame", SIZE_MAX);
    const char *path = text(self->args, "path");
    psnd_encoder encoder = 0;
    char *told = NULL;
    uint8_t *data = NULL;
    size_t size = 0, at;
    cJSON *result;
    TRY(psnd_encoder_new(self->engine, path, samples.rate_hz, samples.layout, json(self->args, "format"), json(self->args, "metadata"),
                         &encoder, &self->error));
    for (at = 0; at < samples.frames && at < abort_at; at += block_frames) {
        const size_t count = samples.frames - at < block_frames ? samples.frames - at : block_frames;
        if (flag(self->args, "interleaved")) {
            float *block = interleaved(&samples, at, count);
            TRY(psnd_encoder_write_interleaved(encoder, block, count, &self->error));
            free(block);
        } else {
            float **pointers = from_frame(&samples, at);
            TRY(psnd_encoder_write(encoder, (const float *const *)pointers, samples.channel_count, count, &self->error));
            free(pointers);
        }
    }
    if (abort_at < samples.frames) {
        psnd_encoder_free(encoder);
        result = cJSON_CreateObject();
        cJSON_AddTrueToObject(result, "aborted");
    } else {
        TRY(psnd_encoder_finish(encoder, &told, &data, &size, &self->error));
        psnd_encoder_free(encoder);
        result = encoded(told, data, size, path);
    }
    free_signal(&samples);
    return result;
}

/* Events that were heard, from a thread of the library. */
typedef struct {
    pthread_mutex_t mutex;
    cJSON *events;
    int finished;
} heard_events;

static void hear(heard_events *heard, const char *event_json) {
    cJSON *event = cJSON_Parse(event_json);
    pthread_mutex_lock(&heard->mutex);
    if (strcmp(text(event, "type"), "event") == 0) {
        heard->finished |= strcmp(text(event, "topic"), "process.finished") == 0;
        cJSON_AddItemToArray(heard->events, event);
    } else {
        cJSON_Delete(event);
    }
    pthread_mutex_unlock(&heard->mutex);
}

static void heard_event(void *user_data, const char *event_json) {
    hear(user_data, event_json);
}

/* Waits until the end of the run was heard and nothing waits any more. */
static void wait_for_end(heard_events *heard, psnd_subscription subscription) {
    int tries;
    for (tries = 0; tries < 30000; tries++) {
        const struct timespec pause = {0, 1000000};
        char *stats = NULL;
        cJSON *told;
        int done;
        pthread_mutex_lock(&heard->mutex);
        done = heard->finished;
        pthread_mutex_unlock(&heard->mutex);
        if (psnd_subscription_stats(subscription, &stats, NULL) != PSND_STATUS_OK) {
            die("no statistics");
        }
        told = taken(stats);
        done = done && number(told, "waiting", 1) == 0;
        cJSON_Delete(told);
        if (done) {
            return;
        }
        nanosleep(&pause, NULL);
    }
    die("no process.finished");
}

static cJSON *op_events(context *self) {
    const char *pattern = text(self->args, "pattern") == NULL ? "process.*" : text(self->args, "pattern");
    heard_events heard;
    psnd_subscription subscription = 0;
    psnd_poller poller = 0;
    char *told = NULL;
    cJSON *result, *topics, *stages, *done;
    double last = 0.0;
    pthread_mutex_init(&heard.mutex, NULL);
    heard.events = cJSON_CreateArray();
    heard.finished = 0;
    if (flag(self->args, "poll")) {
        TRY(psnd_engine_poll(self->engine, pattern, &poller, &self->error));
    } else {
        TRY(psnd_engine_subscribe(self->engine, pattern, heard_event, &heard, NULL, &subscription, &self->error));
    }
    done = process(self, NULL);
    if (done == NULL) {
        return NULL;
    }
    cJSON_Delete(done);
    if (poller != 0) {
        for (;;) {
            TRY(psnd_poller_next(poller, 0, &told, &self->error));
            if (told == NULL) {
                break;
            }
            hear(&heard, told);
            psnd_string_free(told);
        }
        psnd_poller_free(poller);
    } else {
        wait_for_end(&heard, subscription);
        psnd_subscription_free(subscription);
    }
    result = cJSON_CreateObject();
    topics = cJSON_AddArrayToObject(result, "topics");
    stages = cJSON_AddArrayToObject(result, "stages");
    /* In the order of their numbers. */
    for (;;) {
        const cJSON *event, *next = NULL, *payload;
        cJSON_ArrayForEach(event, heard.events) {
            const double sequence = cJSON_GetNumberValue(get(event, "sequence"));
            if (sequence > last && (next == NULL || sequence < cJSON_GetNumberValue(get(next, "sequence")))) {
                next = event;
            }
        }
        if (next == NULL) {
            break;
        }
        last = cJSON_GetNumberValue(get(next, "sequence"));
        payload = get(next, "payload");
        cJSON_AddItemToArray(topics, cJSON_CreateString(text(next, "topic")));
        if (strcmp(text(next, "topic"), "process.stage") == 0) {
            cJSON_AddItemToArray(stages, cJSON_CreateString(text(payload, "stage")));
        } else if (strcmp(text(next, "topic"), "process.finished") == 0) {
            cJSON_AddStringToObject(result, "outcome", text(payload, "outcome"));
        }
    }
    cJSON_Delete(heard.events);
    pthread_mutex_destroy(&heard.mutex);
    return result;
}

typedef struct {
    unsigned long count;
    int monotone, in_range;
    double last;
    int cancel;
} heard_progress;

static int32_t hear_progress(void *user_data, const psnd_progress *progress) {
    heard_progress *heard = user_data;
    heard->monotone = heard->monotone && progress->fraction >= heard->last;
    heard->in_range = heard->in_range && progress->fraction >= 0.0 && progress->fraction <= 1.0;
    heard->last = progress->fraction;
    heard->count++;
    return heard->cancel;
}

static cJSON *op_progress(context *self) {
    heard_progress heard = {0, 1, 1, 0.0, 0};
    psnd_call call = PSND_CALL_INIT;
    const char *of = text(self->args, "of");
    char *told = NULL;
    cJSON *result;
    call.progress = hear_progress;
    call.user_data = &heard;
    if (of != NULL && strcmp(of, "measure") == 0) {
        TRY(psnd_engine_measure(self->engine, self->given, json(self->args, "options"), &call, &told, &self->error));
        psnd_string_free(told);
    } else if (of != NULL && strcmp(of, "check") == 0) {
        TRY(psnd_engine_check(self->engine, self->given, NULL, json(self->args, "options"), &call, &told, &self->error));
        psnd_string_free(told);
    } else if (of != NULL && strcmp(of, "analyse") == 0) {
        TRY(psnd_engine_analyse(self->engine, self->given, json(self->args, "options"), &call, &told, &self->error));
        psnd_string_free(told);
    } else if (of != NULL && strcmp(of, "decode") == 0) {
        psnd_audio audio = 0;
        TRY(psnd_engine_decode(self->engine, self->given, json(self->args, "options"), &call, &audio, &self->error));
        psnd_audio_free(audio);
    } else {
        cJSON *done = process(self, &call);
        if (done == NULL) {
            return NULL;
        }
        cJSON_Delete(done);
    }
    result = cJSON_CreateObject();
    cJSON_AddBoolToObject(result, "called", heard.count > 0);
    cJSON_AddBoolToObject(result, "monotone", heard.monotone);
    cJSON_AddBoolToObject(result, "in_range", heard.in_range);
    cJSON_AddNumberToObject(result, "last", heard.last);
    return result;
}

static cJSON *op_cancel(context *self) {
    heard_progress heard = {0, 1, 1, 0.0, 1};
    psnd_call call = PSND_CALL_INIT;
    const char *when = text(self->args, "when");
    cJSON *result;
    if (strcmp(when, "before") == 0) {
        TRY(psnd_cancel_new(&call.cancel, &self->error));
        TRY(psnd_cancel_cancel(call.cancel, &self->error));
    } else if (strcmp(when, "progress") == 0) {
        call.progress = hear_progress;
        call.user_data = &heard;
    } else {
        die("cancel at %s", when);
    }
    result = process(self, &call);
    psnd_cancel_free(call.cancel);
    return result;
}

/* Runs the recipe of the case, when there is one, so that there is something to tell; 0 when it fails. */
static int process_first(context *self) {
    cJSON *done;
    if (get(self->args, "request") == NULL) {
        return 1;
    }
    done = process(self, NULL);
    cJSON_Delete(done);
    return done != NULL;
}

static cJSON *op_metrics(context *self) {
    char *out = NULL, *line, *next;
    cJSON *result, *families, *samples;
    size_t length;
    if (!process_first(self)) {
        return NULL;
    }
    TRY(psnd_engine_metrics(self->engine, &out, &self->error));
    result = cJSON_CreateObject();
    length = strlen(out);
    cJSON_AddBoolToObject(result, "ended", length >= 6 && strcmp(out + length - 6, "# EOF\n") == 0);
    families = cJSON_AddObjectToObject(result, "families");
    samples = cJSON_AddObjectToObject(result, "samples");
    for (line = out; line != NULL && *line != '\0'; line = next) {
        char *end = strchr(line, '\n'), *space;
        next = end == NULL ? NULL : end + 1;
        if (end != NULL) {
            *end = '\0';
        }
        space = strrchr(line, ' ');
        if (strncmp(line, "# TYPE ", 7) == 0 && space != NULL) {
            *space = '\0';
            cJSON_AddStringToObject(families, line + 7, space + 1);
        } else if (line[0] != '#' && strstr(line, " # ") == NULL && space != NULL) {
            *space = '\0';
            cJSON_AddStringToObject(samples, line, space + 1);
        }
    }
    psnd_string_free(out);
    return result;
}

static cJSON *op_health(context *self) {
    char *out = NULL;
    TRY(psnd_engine_health(self->engine, text(self->args, "probe"), &out, &self->error));
    return taken(out);
}

static cJSON *op_usage(context *self) {
    char *out = NULL;
    if (!process_first(self)) {
        return NULL;
    }
    TRY(psnd_engine_usage(self->engine, &out, &self->error));
    return taken(out);
}

/* A copy of a part of an answer, which may be null. */
static cJSON *part(const cJSON *of, const char *key) {
    const cJSON *item = of == NULL || cJSON_IsNull(of) ? NULL : get(of, key);
    return item == NULL ? cJSON_CreateNull() : cJSON_Duplicate(item, 1);
}

static cJSON *parsed(char *out) {
    cJSON *value = cJSON_Parse(out);
    psnd_string_free(out);
    return value;
}

/* What became of a job. */
static int tell_job(context *self, psnd_jobs jobs, const char *id, cJSON *result) {
    cJSON *record, *life, *step, *steps = cJSON_CreateArray();
    char *out = NULL;
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "steps"), steps);
    if (psnd_jobs_get(jobs, id, &out, &self->error) != PSND_STATUS_OK) {
        return 0;
    }
    record = parsed(out);
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "states"), part(record, "state"));
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "errors"), part(get(record, "error"), "name"));
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "priorities"), part(get(record, "spec"), "priority"));
    cJSON_Delete(record);
    if (psnd_jobs_history(jobs, id, &out, &self->error) != PSND_STATUS_OK) {
        return 0;
    }
    life = parsed(out);
    cJSON_ArrayForEach(step, life) {
        cJSON_AddItemToArray(steps, part(step, "to"));
    }
    cJSON_Delete(life);
    return 1;
}

/* Cancels the jobs that the case wants cancelled, then lets those wait again that it wants to. */
static int change_jobs(context *self, psnd_jobs jobs, const cJSON *made, cJSON *result) {
    const cJSON *index;
    char *out = NULL;
    cJSON_ArrayForEach(index, get(self->args, "cancel")) {
        const char *id = text(cJSON_GetArrayItem(get(made, "jobs"), index->valueint), "id");
        if (psnd_jobs_cancel(jobs, id, "by the case", &out, &self->error) != PSND_STATUS_OK) {
            return 0;
        }
        cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "cancelled"), parsed(out));
    }
    cJSON_ArrayForEach(index, get(self->args, "retry")) {
        const char *id = text(cJSON_GetArrayItem(get(made, "jobs"), index->valueint), "id");
        if (psnd_jobs_retry(jobs, id, &self->error) != PSND_STATUS_OK) {
            return 0;
        }
    }
    return 1;
}

/* Works until the jobs of `made` are over. */
static int work(context *self, psnd_jobs jobs, const cJSON *made, cJSON *result) {
    cJSON *ids = cJSON_CreateArray();
    const cJSON *job;
    char *list;
    bool over = false;
    size_t handed_back = 0;
    int good;
    cJSON_ArrayForEach(job, get(made, "jobs")) {
        cJSON_AddItemToArray(ids, part(job, "id"));
    }
    list = cJSON_PrintUnformatted(ids);
    good = psnd_jobs_start(jobs, json(self->args, "start"), &self->error) == PSND_STATUS_OK &&
           psnd_jobs_wait(jobs, list, 60.0, NULL, &over, &self->error) == PSND_STATUS_OK &&
           psnd_jobs_stop(jobs, -1.0, &handed_back, &self->error) == PSND_STATUS_OK;
    free(list);
    cJSON_Delete(ids);
    cJSON_ReplaceItemInObject(result, "over", cJSON_CreateBool(over));
    cJSON_ReplaceItemInObject(result, "handed_back", cJSON_CreateNumber((double)handed_back));
    return good;
}

static cJSON *use_jobs(context *self, psnd_jobs jobs) {
    static const char *const lists[] = {"duplicates", "cancelled", "states", "errors", "priorities", "steps"};
    const cJSON *gate = get(self->args, "gate"), *job;
    cJSON *made, *result, *batch, *value;
    char *out = NULL;
    size_t i;
    if (gate != NULL) {
        TRY(psnd_jobs_set_gate(jobs, text(gate, "scope"), text(gate, "gate"), &self->error));
    }
    if (get(self->args, "get") != NULL) {
        TRY(psnd_jobs_get(jobs, text(self->args, "get"), &out, &self->error));
        return taken(out);
    }
    TRY(psnd_jobs_submit(jobs, json(self->args, "submission"), &out, &self->error));
    made = parsed(out);
    result = cJSON_CreateObject();
    for (i = 0; i < sizeof lists / sizeof *lists; i++) {
        cJSON_AddArrayToObject(result, lists[i]);
    }
    cJSON_AddFalseToObject(result, "over");
    cJSON_AddNumberToObject(result, "handed_back", 0);
    cJSON_ArrayForEach(job, get(made, "jobs")) {
        cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(result, "duplicates"), part(job, "duplicate"));
    }
    if (!change_jobs(self, jobs, made, result)) {
        return NULL;
    }
    TRY(psnd_jobs_list(jobs, json(self->args, "filter"), &out, &self->error));
    value = parsed(out);
    cJSON_AddNumberToObject(result, "listed", cJSON_GetArraySize(value));
    cJSON_Delete(value);
    if (get(self->args, "start") != NULL && !work(self, jobs, made, result)) {
        return NULL;
    }
    cJSON_ArrayForEach(job, get(made, "jobs")) {
        if (!tell_job(self, jobs, text(job, "id"), result)) {
            return NULL;
        }
    }
    batch = NULL;
    if (text(made, "batch") != NULL) {
        TRY(psnd_jobs_batch(jobs, text(made, "batch"), &out, &self->error));
        value = parsed(out);
        batch = cJSON_CreateObject();
        cJSON_AddItemToObject(batch, "name", part(value, "name"));
        cJSON_AddItemToObject(batch, "states", part(value, "states"));
        cJSON_Delete(value);
    }
    cJSON_AddItemToObject(result, "batch", batch == NULL ? cJSON_CreateNull() : batch);
    TRY(psnd_jobs_stats(jobs, &out, &self->error));
    value = parsed(out);
    cJSON_AddItemToObject(result, "stats", part(value, "states"));
    cJSON_Delete(value);
    cJSON_Delete(made);
    return result;
}

static cJSON *op_jobs(context *self) {
    psnd_jobs jobs = 0;
    cJSON *result;
    if (get(self->args, "signal") != NULL) {
        signal_data samples = make_signal(get(self->args, "signal"));
        psnd_audio audio = 0;
        TRY(psnd_audio_from_planar((const float *const *)samples.channels, samples.channel_count, samples.frames, samples.rate_hz,
                                   samples.layout, &audio, &self->error));
        free_signal(&samples);
        TRY(psnd_engine_encode(self->engine, audio, text(self->args, "path"), NULL, NULL, NULL, &self->error));
        psnd_audio_free(audio);
    }
    TRY(psnd_jobs_open(self->engine, text(self->args, "database"), &jobs, &self->error));
    result = use_jobs(self, jobs);
    psnd_jobs_free(jobs);
    return result;
}

static const struct {
    const char *name;
    cJSON *(*run)(context *self);
} operations[] = {
    {"version", op_version}, {"error_table", op_error_table}, {"presets", op_presets}, {"preset", op_preset}, {"filters", op_filters},
    {"schema", op_schema}, {"recipe", op_recipe}, {"config", op_config}, {"probe", op_probe}, {"tags", op_tags}, {"measure", op_measure}, {"analyse", op_analyse}, {"check", op_check},
    {"classify", op_classify}, {"recommend", op_recommend}, {"compare", op_compare}, {"waveform_peaks", op_waveform_peaks}, {"picture", op_picture},
    {"page", op_page}, {"page_of_two", op_page_of_two},
    {"plan", op_plan}, {"process", op_process}, {"decode", op_decode}, {"encode", op_encode}, {"chain", op_chain}, {"meter", op_meter},
    {"resample", op_resample}, {"stream_decode", op_stream_decode}, {"stream_encode", op_stream_encode}, {"events", op_events},
    {"progress", op_progress}, {"cancel", op_cancel}, {"metrics", op_metrics}, {"health", op_health}, {"usage", op_usage}, {"jobs", op_jobs},
};

/* ---- Cases ---- */

static void differs(const char *place, const cJSON *expected, const cJSON *got) {
    char *a = expected == NULL ? NULL : cJSON_PrintUnformatted(expected), *b = got == NULL ? NULL : cJSON_PrintUnformatted(got);
    differences++;
    printf("%s: %s: %.300s instead of %.300s\n", case_name, place, b == NULL ? "nothing" : b, a == NULL ? "nothing" : a);
    free(a);
    free(b);
}

/* Compares what the case says with what came: more may come. False at the first difference. */
static int subset(const char *place, const cJSON *expected, const cJSON *got, double tolerance) {
    const cJSON *item, *value = NULL;
    int same;
    if (cJSON_IsObject(expected) && cJSON_IsObject(got)) {
        cJSON_ArrayForEach(item, expected) {
            char below[512];
            snprintf(below, sizeof below, "%s.%s", place, item->string);
            if (get(got, item->string) == NULL) {
                differs(below, item, NULL);
                return 0;
            }
            if (!subset(below, item, get(got, item->string), tolerance)) {
                return 0;
            }
        }
        return 1;
    }
    if (cJSON_IsArray(expected) && cJSON_IsArray(got) && cJSON_GetArraySize(expected) == cJSON_GetArraySize(got)) {
        value = got->child;
        cJSON_ArrayForEach(item, expected) {
            if (!subset(place, item, value, tolerance)) {
                return 0;
            }
            value = value->next;
        }
        return 1;
    }
    if (cJSON_IsNumber(expected) && cJSON_IsNumber(got)) {
        same = !(fabs(expected->valuedouble - got->valuedouble) > tolerance);
    } else {
        same = cJSON_Compare(expected, got, 1);
    }
    if (!same) {
        differs(place, expected, got);
    }
    return same;
}

/* Replaces {dir} in every text. */
static void put_folder(cJSON *value, const char *folder) {
    cJSON *item;
    char *at;
    if (cJSON_IsString(value) && (at = strstr(value->valuestring, "{dir}")) != NULL) {
        char *made = memory(strlen(value->valuestring) + strlen(folder) + 1);
        sprintf(made, "%.*s%s%s", (int)(at - value->valuestring), value->valuestring, folder, at + 5);
        cJSON_free(value->valuestring);
        value->valuestring = made;
    }
    cJSON_ArrayForEach(item, value) {
        put_folder(item, folder);
    }
}

static void add_name(void *list, const char *name) {
    cJSON_AddItemToArray(list, cJSON_CreateString(name));
}

static void run_case(const cJSON *the_case) {
    cJSON *args = cJSON_Duplicate(get(the_case, "args"), 1);
    char *folder = make_folder();
    const cJSON *expected = get(the_case, "expect"), *refused = get(the_case, "error"), *tolerance = get(the_case, "tolerance");
    const double within = tolerance == NULL ? 0.0 : tolerance->valuedouble;
    const char *op = text(the_case, "op");
    context self;
    cJSON *result = NULL;
    size_t index, count = sizeof operations / sizeof *operations;
    int known = 0;
    memset(&self, 0, sizeof self);
    if (folder == NULL) {
        die("no temporary folder");
    }
    put_folder(args, folder);
    self.args = args;
    if (psnd_engine_new(json(args, "settings"), &self.engine, &self.error) == PSND_STATUS_OK &&
        (get(args, "input") == NULL || make_input(get(args, "input"), &self.input, &self.error) == PSND_STATUS_OK)) {
        self.given = get(args, "input") == NULL ? NULL : &self.input.input;
        for (index = 0; index < count; index++) {
            if (strcmp(operations[index].name, op) == 0) {
                known = 1;
                result = operations[index].run(&self);
            }
        }
        if (!known) {
            die("unknown operation %s", op);
        }
    }
    if (result == NULL) {
        cJSON *record;
        if (self.error == NULL) {
            die("failed without an error");
        }
        record = cJSON_Parse(psnd_error_json(self.error));
        if (refused == NULL) {
            differs("result", expected, record);
        } else {
            subset("error", refused, record, within);
        }
        cJSON_Delete(record);
        psnd_error_free(self.error);
    } else if (expected == NULL) {
        differs("error", refused, result);
    } else {
        subset("result", expected, result, within);
    }
    if (get(the_case, "files") != NULL) {
        cJSON *files = cJSON_CreateArray();
        list_folder(folder, add_name, files);
        if (!cJSON_Compare(get(the_case, "files"), files, 1)) {
            differs("files", get(the_case, "files"), files);
        }
        cJSON_Delete(files);
    }
    free_input(&self.input);
    psnd_engine_free(self.engine);
    cJSON_Delete(result);
    cJSON_Delete(args);
    while (printed_count > 0) {
        cJSON_free(printed[--printed_count]);
    }
    remove_folder(folder);
    free(folder);
}

int main(int argc, char **argv) {
    size_t size;
    unsigned long count = 0;
    char *bytes;
    cJSON *file;
    const cJSON *the_case;
    if (argc != 2 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: %s ROOT_OF_THE_REPOSITORY\n", argv[0]);
        return 2;
    }
    bytes = (char *)read_file("tests/parity/cases.json", &size);
    file = bytes == NULL ? NULL : cJSON_ParseWithLength(bytes, size);
    if (file == NULL || number(file, "version", 0) != 1) {
        die("cannot read the cases");
    }
    cJSON_ArrayForEach(the_case, get(file, "cases")) {
        case_name = text(the_case, "name");
        run_case(the_case);
        count++;
    }
    cJSON_Delete(file);
    free(bytes);
    printf("%lu differences\nparity: %lu cases\n", differences, count);
    return differences == 0 && count > 0 ? 0 : 1;
}
