/* Decoder and encoder. */
#include "check.h"

struct reentrant {
    psnd_decoder decoder;
    FILE *file;
    int status;
    int destroyed;
};

static int32_t reading(void *user_data, uint8_t *buffer, size_t size, size_t *out_read) {
    struct reentrant *self = user_data;
    size_t frames = 0;
    if (self->decoder != 0) {
        /* Uses the decoder that is calling. */
        self->status = (int)psnd_decoder_read_interleaved(self->decoder, left, 1, &frames, NULL);
        calls++;
    }
    *out_read = fread(buffer, 1, size, self->file);
    return 0;
}

static int32_t seeking(void *user_data, uint64_t position) {
    return fseek(((struct reentrant *)user_data)->file, (long)position, SEEK_SET);
}

static void closing(void *user_data) {
    struct reentrant *self = user_data;
    fclose(self->file);
    self->destroyed++;
}

static void test_decoder(psnd_engine engine) {
    psnd_decoder decoder = 0;
    psnd_input input = PSND_INPUT_INIT;
    char *text = NULL;
    size_t got = 0;
    static float first[1000];
    float *mono[1];
    float *none[1] = {NULL};
    mono[0] = left;

    input.path = recording;
    FAILS(INVALID_VALUE, "out_decoder", psnd_decoder_open(engine, &input, NULL, NULL, &error));
    FAILS(INVALID_VALUE, "\"input\"", psnd_decoder_open(engine, NULL, NULL, &decoder, &error));
    FAILS(INVALID_VALUE, "\"options\"", psnd_decoder_open(engine, &input, "{\"limit\": 1}", &decoder, &error));
    FAILS(LIMIT_EXCEEDED, "max_bytes", psnd_decoder_open(engine, &input, "{\"limits\": {\"max_bytes\": 10}}", &decoder, &error));
    OK(psnd_decoder_open(engine, &input, NULL, &decoder, NULL));
    OK(psnd_decoder_info(decoder, &text, NULL));
    HOLDS(text, "\"rate_hz\":16000");
    OK(psnd_decoder_read(decoder, (float *const *)mono, 1, 1000, &got, NULL));
    CHECK(got == 1000);
    memcpy(first, left, sizeof first);
    OK(psnd_decoder_read_interleaved(decoder, left, 777, &got, NULL));
    CHECK(got == 777);
    OK(psnd_decoder_read(decoder, NULL, 1, 0, &got, NULL));
    CHECK(got == 0);
    OK(psnd_decoder_seek(decoder, 500, NULL));
    OK(psnd_decoder_read_interleaved(decoder, left, 500, &got, NULL));
    CHECK(got == 500 && memcmp(left, first + 500, 500 * sizeof(float)) == 0);
    OK(psnd_decoder_seek(decoder, UINT64_MAX, NULL));
    OK(psnd_decoder_read_interleaved(decoder, left, 500, &got, NULL));
    CHECK(got == 0);
    OK(psnd_decoder_damage(decoder, &text, NULL));
    HOLDS(text, "\"event_count\":0");
    FAILS(OUT_OF_RANGE, "channel_count", psnd_decoder_read(decoder, (float *const *)both, 2, 10, &got, &error));
    FAILS(INVALID_VALUE, "\"channels\"", psnd_decoder_read(decoder, NULL, 1, 10, &got, &error));
    FAILS(INVALID_VALUE, "channels[0]", psnd_decoder_read(decoder, (float *const *)none, 1, 10, &got, &error));
    FAILS(INVALID_VALUE, "\"samples\"", psnd_decoder_read_interleaved(decoder, NULL, 10, &got, &error));
    FAILS(OUT_OF_RANGE, "\"frames\"", psnd_decoder_read_interleaved(decoder, left, SIZE_MAX, &got, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_decoder_read_interleaved(decoder, left, 10, NULL, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_decoder_info(decoder, NULL, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_decoder_damage(decoder, NULL, &error));
    OK(psnd_decoder_free(decoder));
    {
        /* A callback that uses the decoder which calls it. */
        struct reentrant self;
        psnd_reader reader = PSND_READER_INIT;
        memset(&self, 0, sizeof self);
        self.file = fopen(recording, "rb");
        CHECK(self.file != NULL);
        fseek(self.file, 0, SEEK_END);
        reader.size = (uint64_t)ftell(self.file);
        fseek(self.file, 0, SEEK_SET);
        reader.read = reading;
        reader.seek = seeking;
        reader.user_data = &self;
        reader.destroy = closing;
        memset(&input, 0, sizeof input);
        input.struct_size = sizeof input;
        input.reader = &reader;
        OK(psnd_decoder_open(engine, &input, NULL, &decoder, NULL));
        self.decoder = decoder;
        self.status = -1;
        OK(psnd_decoder_seek(decoder, 200000, NULL));
        OK(psnd_decoder_read_interleaved(decoder, right, 1000, &got, NULL));
        CHECK(got == 1000);
        CHECK(self.status == PSND_STATUS_REENTRANT);
        CHECK(self.destroyed == 0);
        OK(psnd_decoder_free(decoder));
        CHECK(self.destroyed == 1);
    }
    fill_noise();
}

static int exists(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

static void test_encoder(psnd_engine engine) {
    static const char *const wav = "{\"format\": \"wav\", \"sample\": \"f32\"}";
    psnd_encoder encoder = 0;
    char *text = NULL;
    uint8_t *data = NULL;
    size_t size = 1;
    FAILS(INVALID_VALUE, "out_encoder", psnd_encoder_new(engine, NULL, 48000, "stereo", wav, NULL, NULL, &error));
    FAILS(INVALID_VALUE, "format", psnd_encoder_new(engine, NULL, 48000, "stereo", NULL, NULL, &encoder, &error));
    FAILS(INVALID_VALUE, "layout", psnd_encoder_new(engine, NULL, 48000, NULL, wav, NULL, &encoder, &error));
    FAILS(INVALID_VALUE, "\"format\"", psnd_encoder_new(engine, NULL, 48000, "stereo", "7", NULL, &encoder, &error));
    FAILS(UNKNOWN_NAME, "xyz", psnd_encoder_new(engine, "a.xyz", 48000, "stereo", NULL, NULL, &encoder, &error));
    /* To memory. */
    OK(psnd_encoder_new(engine, NULL, 48000, "stereo", wav, NULL, &encoder, NULL));
    OK(psnd_encoder_write(encoder, (const float *const *)both, 2, 1000, NULL));
    OK(psnd_encoder_write_interleaved(encoder, left, 500, NULL));
    OK(psnd_encoder_write(encoder, NULL, 2, 0, NULL));
    FAILS(OUT_OF_RANGE, "channel_count", psnd_encoder_write(encoder, (const float *const *)both, 1, 1000, &error));
    FAILS(INVALID_VALUE, "\"channels\"", psnd_encoder_write(encoder, NULL, 2, 1, &error));
    FAILS(INVALID_VALUE, "\"samples\"", psnd_encoder_write_interleaved(encoder, NULL, 1, &error));
    FAILS(INVALID_VALUE, "out_data", psnd_encoder_finish(encoder, &text, NULL, &size, &error));
    FAILS(INVALID_VALUE, "out_size", psnd_encoder_finish(encoder, &text, &data, NULL, &error));
    OK(psnd_encoder_finish(encoder, &text, &data, &size, NULL));
    HOLDS(text, "\"frames\":1500");
    CHECK(data != NULL && size >= 1500 * 8);
    psnd_bytes_free(data, size);
    FAILS(CLOSED, "encoder", psnd_encoder_finish(encoder, &text, &data, &size, &error));
    FAILS(CLOSED, "encoder", psnd_encoder_write(encoder, (const float *const *)both, 2, 10, &error));
    OK(psnd_encoder_free(encoder));
    /* To a file: there when it is finished, and not before. */
    OK(psnd_encoder_new(engine, in_folder("stream.flac"), 48000, "stereo", NULL, NULL, &encoder, NULL));
    OK(psnd_encoder_write(encoder, (const float *const *)both, 2, FRAMES, NULL));
    CHECK(!exists(in_folder("stream.flac")));
    OK(psnd_encoder_finish(encoder, NULL, NULL, NULL, NULL));
    CHECK(exists(in_folder("stream.flac")));
    OK(psnd_encoder_free(encoder));
    OK(psnd_encoder_new(engine, in_folder("stream.mp3"), 48000, "stereo", NULL, NULL, &encoder, NULL));
    OK(psnd_encoder_write(encoder, (const float *const *)both, 2, FRAMES, NULL));
    OK(psnd_encoder_free(encoder));
    CHECK(!exists(in_folder("stream.mp3")));
    OK(psnd_encoder_new(engine, in_folder("size.wav"), 48000, "2", NULL, NULL, &encoder, NULL));
    data = (uint8_t *)&size;
    OK(psnd_encoder_finish(encoder, &text, &data, &size, NULL));
    CHECK(data == NULL && size == 0);
    HOLDS(text, "\"frames\":0");
    OK(psnd_encoder_free(encoder));
}

void test_streams(void) {
    psnd_engine engine = 0;
    OK(psnd_engine_new(NULL, &engine, NULL));
    test_decoder(engine);
    test_encoder(engine);
    OK(psnd_engine_free(engine));
}
