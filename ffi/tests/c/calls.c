/* Progress, cancellation, and what belongs to the host. */
#include "check.h"

struct listener {
    psnd_engine engine;
    psnd_cancel cancel;
    int heard;
    int stop_at;
    int cancel_at;
    int free_at;
    int use_at;
    int destroyed;
    double last;
};

static int32_t listen(void *user_data, const psnd_progress *progress) {
    struct listener *self = user_data;
    self->heard++;
    CHECK(progress->struct_size >= sizeof(psnd_progress));
    CHECK(progress->stage != NULL && strlen(progress->stage) > 3);
    CHECK(progress->fraction >= self->last && progress->fraction <= 1.0);
    self->last = progress->fraction;
    if (self->heard == self->cancel_at) {
        OK(psnd_cancel_cancel(self->cancel, NULL));
    }
    if (self->heard == self->free_at) {
        /* The engine that runs this very call. */
        OK(psnd_engine_free(self->engine));
        GIVES(INVALID_HANDLE, psnd_engine_free(self->engine));
    }
    if (self->heard == self->use_at) {
        /* Another call of the same engine from within. */
        psnd_input input = PSND_INPUT_INIT;
        char *text = NULL;
        input.path = recording;
        OK(psnd_engine_probe(self->engine, &input, NULL, &text, NULL));
        HOLDS(text, "flac");
    }
    return self->heard == self->stop_at;
}

static void forget(void *user_data) {
    ((struct listener *)user_data)->destroyed++;
}

/* A destroy that itself calls the library. */
static void forget_and_call(void *user_data) {
    struct listener *self = user_data;
    self->destroyed++;
    OK(psnd_cancel_free(self->cancel));
}

void test_calls(void) {
    static const char *const to_memory = "{\"outputs\": [{\"format\": {\"format\": \"flac\"}}]}";
    psnd_engine engine = 0;
    psnd_input input = PSND_INPUT_INIT;
    psnd_call call = PSND_CALL_INIT;
    struct listener listener;
    psnd_outputs outputs = 0;
    psnd_audio audio = 0;
    char *text = NULL;
    bool cancelled = true;
    char request[2048];
    FILE *file;

    OK(psnd_engine_new(NULL, &engine, NULL));
    input.path = recording;
    call.progress = listen;
    call.user_data = &listener;
    call.destroy = forget;
#define FRESH (memset(&listener, 0, sizeof listener), listener.engine = engine)

    FRESH;
    OK(psnd_engine_measure(engine, &input, NULL, &call, &text, NULL));
    CHECK(listener.heard > 0 && listener.last == 1.0 && listener.destroyed == 1);
    psnd_string_free(text);
    text = NULL;
    FRESH;
    listener.stop_at = 1;
    FAILS(CANCELLED, "cancelled", psnd_engine_measure(engine, &input, NULL, &call, &text, &error));
    CHECK(listener.destroyed == 1);
    FRESH;
    listener.use_at = 1;
    OK(psnd_engine_measure(engine, &input, NULL, &call, NULL == text ? &text : NULL, NULL));
    CHECK(listener.destroyed == 1);
    psnd_string_free(text);
    text = NULL;

    /* Nothing is left of what was cancelled. */
    FRESH;
    listener.stop_at = 1;
    snprintf(request, sizeof request, "{\"output\": \"%s\"}", in_folder("cancelled.mp3"));
    FAILS(CANCELLED, "cancelled", psnd_engine_process(engine, &input, request, &call, &text, &error));
    CHECK(listener.destroyed == 1);
    file = fopen(in_folder("cancelled.mp3"), "rb");
    CHECK(file == NULL);

    /* A token: before, during, after. */
    FAILS(INVALID_VALUE, "out_cancel", psnd_cancel_new(NULL, &error));
    FRESH;
    OK(psnd_cancel_new(&listener.cancel, NULL));
    call.cancel = listener.cancel;
    OK(psnd_cancel_is_cancelled(listener.cancel, &cancelled, NULL));
    CHECK(!cancelled);
    FAILS(INVALID_VALUE, "out_cancelled", psnd_cancel_is_cancelled(listener.cancel, NULL, &error));
    listener.cancel_at = 1;
    FAILS(CANCELLED, "cancelled", psnd_engine_process_to_memory(engine, &input, to_memory, &call, &text, &outputs, &error));
    CHECK(listener.destroyed == 1 && outputs == 0 && text == NULL);
    OK(psnd_cancel_is_cancelled(listener.cancel, &cancelled, NULL));
    CHECK(cancelled);
    FAILS(CANCELLED, "cancelled", psnd_engine_decode(engine, &input, NULL, &call, &audio, &error));
    CHECK(listener.destroyed == 2 && audio == 0);
    OK(psnd_cancel_free(listener.cancel));
    FAILS(INVALID_HANDLE, "cancel", psnd_engine_decode(engine, &input, NULL, &call, &audio, &error));
    CHECK(listener.destroyed == 3);
    call.cancel = 0;

    /* Given back exactly once, whatever else is wrong. */
    FRESH;
    GIVES(INVALID_HANDLE, psnd_engine_process(1, &input, to_memory, &call, &text, NULL));
    GIVES(INVALID_VALUE, psnd_engine_process(engine, &input, "{", &call, &text, NULL));
    GIVES(INVALID_VALUE, psnd_engine_measure(engine, NULL, NULL, &call, &text, NULL));
    GIVES(INVALID_VALUE, psnd_engine_decode(engine, &input, NULL, &call, NULL, NULL));
    GIVES(INVALID_VALUE, psnd_engine_process_to_memory(engine, &input, to_memory, &call, &text, NULL, NULL));
    CHECK(listener.destroyed == 5 && listener.heard == 0);
    call.struct_size = 3;
    FAILS(OUT_OF_RANGE, "call.struct_size", psnd_engine_measure(engine, &input, NULL, &call, &text, &error));
    CHECK(listener.destroyed == 5);
    call.struct_size = sizeof call;

    /* destroy may call the library, and there need not be a callback. */
    FRESH;
    OK(psnd_cancel_new(&listener.cancel, NULL));
    call.progress = NULL;
    call.destroy = forget_and_call;
    OK(psnd_engine_decode(engine, &input, NULL, &call, &audio, NULL));
    CHECK(listener.destroyed == 1);
    GIVES(INVALID_HANDLE, psnd_cancel_free(listener.cancel));
    OK(psnd_audio_free(audio));

    /* The engine is freed by the callback of its own call, which goes on. */
    FRESH;
    listener.free_at = 1;
    call.progress = listen;
    call.destroy = forget;
    OK(psnd_engine_process_to_memory(engine, &input, to_memory, &call, NULL, &outputs, NULL));
    CHECK(listener.destroyed == 1);
    OK(psnd_outputs_free(outputs));
    GIVES(INVALID_HANDLE, psnd_engine_free(engine));
#undef FRESH
}
