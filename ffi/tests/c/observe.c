/* Figures, health, log, usage. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

/* Written by threads of the library. */
struct listener {
    pthread_mutex_t mutex;
    psnd_engine engine;
    int heard;
    int of_info;
    int destroyed;
    int heard_after_destroy;
    int use;
    int mute;
};

static void hear(void *user_data, const char *level, const char *message, const char *record_json) {
    struct listener *self = user_data;
    int first;
    pthread_mutex_lock(&self->mutex);
    first = self->heard == 0;
    self->heard++;
    self->of_info += strcmp(level, "info") == 0;
    self->heard_after_destroy += self->destroyed > 0;
    CHECK(strlen(message) > 0 && strstr(record_json, "\"message\":") != NULL && strstr(record_json, "\"spans\":") != NULL);
    pthread_mutex_unlock(&self->mutex);
    if (first && self->use) {
        /* The engine that logs: what it logs now goes nowhere, so this does not come back here. */
        psnd_input input = PSND_INPUT_INIT;
        char *text = NULL;
        input.path = recording;
        OK(psnd_engine_probe(self->engine, &input, NULL, &text, NULL));
        HOLDS(text, "flac");
        OK(psnd_engine_metrics(self->engine, &text, NULL));
        HOLDS(text, "# EOF");
    }
    if (first && self->mute) {
        OK(psnd_engine_log(self->engine, "off", NULL, NULL, NULL, NULL));
        CHECK(self->destroyed == 0); /* this very callback still uses it */
    }
}

static void forget(void *user_data) {
    struct listener *self = user_data;
    pthread_mutex_lock(&self->mutex);
    self->destroyed++;
    pthread_mutex_unlock(&self->mutex);
}

static void run(psnd_engine engine) {
    psnd_input input = PSND_INPUT_INIT;
    psnd_outputs outputs = 0;
    input.path = recording;
    OK(psnd_engine_process_to_memory(engine, &input, "{\"trim\": {\"end_s\": 1}, \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}", NULL,
                                     NULL, &outputs, NULL));
    OK(psnd_outputs_free(outputs));
}

static void test_log(psnd_engine engine) {
    struct listener self, other;
    int before;
    memset(&self, 0, sizeof self);
    memset(&other, 0, sizeof other);
    pthread_mutex_init(&self.mutex, NULL);
    pthread_mutex_init(&other.mutex, NULL);
    self.engine = other.engine = engine;

    /* Given back when it fails, too. */
    FAILS(INVALID_VALUE, "\"level\"", psnd_engine_log(engine, NULL, hear, &self, forget, &error));
    FAILS(INVALID_VALUE, "log level", psnd_engine_log(engine, "loud", hear, &self, forget, &error));
    FAILS(INVALID_VALUE, "UTF-8", psnd_engine_log(engine, "\xff", hear, &self, forget, &error));
    FAILS(INVALID_HANDLE, "engine", psnd_engine_log(7, "info", hear, &self, forget, &error));
    CHECK(self.destroyed == 4 && self.heard == 0);
    self.destroyed = 0;
    /* Nobody listens: changing the level is nothing. */
    OK(psnd_engine_log(engine, "info", NULL, NULL, NULL, NULL));

    self.use = 1;
    OK(psnd_engine_log(engine, "debug", hear, &self, forget, NULL));
    run(engine);
    CHECK(self.heard > 0 && self.of_info > 0 && self.destroyed == 0);
    /* Quieter while it runs. */
    OK(psnd_engine_log(engine, "error", NULL, NULL, NULL, NULL));
    before = self.heard;
    run(engine);
    CHECK(self.heard == before);
    /* Another one instead. */
    OK(psnd_engine_log(engine, "trace", hear, &other, forget, NULL));
    CHECK(self.destroyed == 1);
    run(engine);
    CHECK(self.heard == before && other.heard > 0);
    OK(psnd_engine_log(engine, "off", NULL, NULL, NULL, NULL));
    CHECK(other.destroyed == 1);
    before = other.heard;
    run(engine);
    CHECK(other.heard == before && other.heard_after_destroy == 0);

    /* Ends itself from within: destroy comes when the run is over. */
    memset(&other.heard, 0, sizeof other - offsetof(struct listener, heard));
    other.mute = 1;
    OK(psnd_engine_log(engine, "trace", hear, &other, forget, NULL));
    run(engine);
    CHECK(other.heard > 0 && other.destroyed == 1 && other.heard_after_destroy == 0);
    run(engine);
    CHECK(other.destroyed == 1);
}

void test_observe(void) {
    psnd_engine engine = 0;
    char *text = NULL;
    struct listener last;
    OK(psnd_engine_new(NULL, &engine, NULL));
    OK(psnd_engine_metrics(engine, &text, NULL));
    CHECK(text != NULL && strcmp(text + strlen(text) - 6, "# EOF\n") == 0);
    HOLDS(text, "pure_sound_operation_duration_seconds_count{operation=\"process\"} 0");
    run(engine);
    OK(psnd_engine_metrics(engine, &text, NULL));
    HOLDS(text, "pure_sound_operation_duration_seconds_count{operation=\"process\"} 1");
    FAILS(INVALID_VALUE, "out_text", psnd_engine_metrics(engine, NULL, &error));
    OK(psnd_engine_health(engine, NULL, &text, NULL));
    HOLDS(text, "engine:uptime");
    OK(psnd_engine_health(engine, "live", &text, NULL));
    HOLDS(text, "\"status\":\"pass\"");
    OK(psnd_engine_health(engine, "ready", &text, NULL));
    HOLDS(text, "ready");
    OK(psnd_engine_health(engine, "startup", &text, NULL));
    HOLDS(text, "startup");
    FAILS(INVALID_VALUE, "probe", psnd_engine_health(engine, "lively", &text, &error));
    FAILS(INVALID_VALUE, "UTF-8", psnd_engine_health(engine, "\xff", &text, &error));
    FAILS(INVALID_VALUE, "out_json", psnd_engine_health(engine, NULL, NULL, &error));
    OK(psnd_engine_usage(engine, &text, NULL));
    HOLDS(text, "\"granted\":1");
    FAILS(INVALID_VALUE, "out_json", psnd_engine_usage(engine, NULL, &error));
    test_log(engine);

    /* What listens goes with its engine. */
    memset(&last, 0, sizeof last);
    pthread_mutex_init(&last.mutex, NULL);
    OK(psnd_engine_log(engine, "info", hear, &last, forget, NULL));
    OK(psnd_engine_free(engine));
    CHECK(last.destroyed == 1);
}
