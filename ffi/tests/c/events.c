/* Subscriptions and pollers. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "check.h"

/* Written by threads of the library. */
struct listener {
    pthread_mutex_t mutex;
    psnd_engine engine;
    psnd_subscription subscription;
    int heard;
    int destroyed;
    int heard_after_destroy;
    int free_at;
    int publish_at;
    int free_engine_at;
    int slow;
    char last[512];
};

static struct listener *new_listener(psnd_engine engine) {
    struct listener *self = calloc(1, sizeof *self);
    pthread_mutex_init(&self->mutex, NULL);
    self->engine = engine;
    return self;
}

static void pause_ms(long ms) {
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000L;
    nanosleep(&time, NULL);
}

static void hear(void *user_data, const char *event_json) {
    struct listener *self = user_data;
    psnd_subscription subscription;
    int heard;
    pthread_mutex_lock(&self->mutex);
    heard = ++self->heard;
    self->heard_after_destroy += self->destroyed > 0;
    snprintf(self->last, sizeof self->last, "%s", event_json);
    subscription = self->subscription;
    pthread_mutex_unlock(&self->mutex);
    if (self->slow) {
        pause_ms(30);
    }
    if (heard == self->publish_at) {
        OK(psnd_engine_publish(self->engine, "test.inner", "{\"from\": \"callback\"}", NULL, NULL));
    }
    if (heard == self->free_at) {
        OK(psnd_subscription_free(subscription));
        CHECK(self->destroyed == 0); /* not while it is used */
    }
    if (heard == self->free_engine_at) {
        OK(psnd_engine_free(self->engine));
    }
}

static void forget(void *user_data) {
    struct listener *self = user_data;
    pthread_mutex_lock(&self->mutex);
    self->destroyed++;
    pthread_mutex_unlock(&self->mutex);
}

/* Waits, at most 10 s, until `field` is at least `count`. */
static void wait_for(struct listener *self, const int *field, int count) {
    int tries, there = 0;
    for (tries = 0; tries < 10000 && !there; tries++) {
        pthread_mutex_lock(&self->mutex);
        there = *field >= count;
        pthread_mutex_unlock(&self->mutex);
        if (!there) {
            pause_ms(1);
        }
    }
    CHECK(there);
}

static void test_callbacks(psnd_engine engine) {
    struct listener *self = new_listener(engine);
    psnd_subscription subscription = 0;
    uint64_t sequence = 0, next = 0;
    char *text = NULL;

    /* Given back when it fails, too. */
    FAILS(INVALID_VALUE, "out_subscription", psnd_engine_subscribe(engine, "test.*", hear, self, forget, NULL, &error));
    FAILS(INVALID_VALUE, "callback", psnd_engine_subscribe(engine, "test.*", NULL, self, forget, &subscription, &error));
    FAILS(INVALID_VALUE, "pattern", psnd_engine_subscribe(engine, NULL, hear, self, forget, &subscription, &error));
    FAILS(INVALID_VALUE, "..", psnd_engine_subscribe(engine, "..", hear, self, forget, &subscription, &error));
    FAILS(INVALID_HANDLE, "engine", psnd_engine_subscribe(7, "test.*", hear, self, forget, &subscription, &error));
    CHECK(self->destroyed == 5 && subscription == 0);
    self->destroyed = 0;

    OK(psnd_engine_subscribe(engine, "test.*", hear, self, forget, &self->subscription, NULL));
    OK(psnd_engine_publish(engine, "test.one", "{\"a\": 1}", &sequence, NULL));
    OK(psnd_engine_publish(engine, "other.one", "2", &next, NULL));
    CHECK(next == sequence + 1);
    OK(psnd_engine_publish(engine, "test.two", "null", NULL, NULL));
    wait_for(self, &self->heard, 2);
    CHECK(strstr(self->last, "\"topic\":\"test.two\"") != NULL && strstr(self->last, "\"type\":\"event\"") != NULL);
    FAILS(INVALID_VALUE, "topic", psnd_engine_publish(engine, "no topic", "1", NULL, &error));
    FAILS(INVALID_VALUE, "topic", psnd_engine_publish(engine, NULL, "1", NULL, &error));
    FAILS(INVALID_VALUE, "payload", psnd_engine_publish(engine, "test.x", NULL, NULL, &error));
    FAILS(INVALID_VALUE, "JSON", psnd_engine_publish(engine, "test.x", "{", NULL, &error));
    OK(psnd_subscription_stats(self->subscription, &text, NULL));
    HOLDS(text, "\"delivered\":2");
    FAILS(INVALID_VALUE, "out_json", psnd_subscription_stats(self->subscription, NULL, &error));
    OK(psnd_subscription_free(self->subscription));
    CHECK(self->destroyed == 1); /* by now */
    GIVES(INVALID_HANDLE, psnd_subscription_free(self->subscription));
    OK(psnd_engine_publish(engine, "test.three", "3", NULL, NULL));
    pause_ms(5);
    CHECK(self->heard == 2 && self->heard_after_destroy == 0);
    free(self);

    /* A callback that publishes to itself and then ends itself. */
    self = new_listener(engine);
    self->publish_at = 1;
    self->free_at = 2;
    pthread_mutex_lock(&self->mutex);
    OK(psnd_engine_subscribe(engine, "test.*", hear, self, forget, &self->subscription, NULL));
    pthread_mutex_unlock(&self->mutex);
    OK(psnd_engine_publish(engine, "test.outer", "1", NULL, NULL));
    wait_for(self, &self->destroyed, 1);
    CHECK(self->heard == 2);
    GIVES(INVALID_HANDLE, psnd_subscription_free(self->subscription));
    pthread_mutex_lock(&self->mutex);
    CHECK(self->destroyed == 1 && self->heard_after_destroy == 0);
    pthread_mutex_unlock(&self->mutex);
    free(self);

    /* Freeing waits for a callback that runs. */
    self = new_listener(engine);
    self->slow = 1;
    OK(psnd_engine_subscribe(engine, "test.*", hear, self, forget, &self->subscription, NULL));
    OK(psnd_engine_publish(engine, "test.slow", "1", NULL, NULL));
    wait_for(self, &self->heard, 1);
    OK(psnd_subscription_free(self->subscription));
    CHECK(self->destroyed == 1 && self->heard_after_destroy == 0);
    free(self);
}

static void test_polling(psnd_engine engine) {
    psnd_poller poller = 0;
    char *text = (char *)&poller;
    FAILS(INVALID_VALUE, "out_poller", psnd_engine_poll(engine, "test.*", NULL, &error));
    FAILS(INVALID_VALUE, "pattern", psnd_engine_poll(engine, NULL, &poller, &error));
    OK(psnd_engine_poll(engine, "test.*", &poller, NULL));
    OK(psnd_poller_next(poller, 0, &text, NULL));
    CHECK(text == NULL);
    OK(psnd_poller_next(poller, 1, &text, NULL));
    CHECK(text == NULL);
    OK(psnd_engine_publish(engine, "test.polled", "[1, 2]", NULL, NULL));
    OK(psnd_poller_next(poller, 1000, &text, NULL));
    HOLDS(text, "\"payload\":[1,2]");
    FAILS(INVALID_VALUE, "out_json", psnd_poller_next(poller, 0, NULL, &error));
    OK(psnd_poller_free(poller));
    GIVES(INVALID_HANDLE, psnd_poller_next(poller, 0, &text, NULL));
}

void test_events(void) {
    psnd_engine engine = 0;
    struct listener *self;
    psnd_poller poller = 0;
    char *text = NULL;
    psnd_input input = PSND_INPUT_INIT;
    OK(psnd_engine_new(NULL, &engine, NULL));
    test_callbacks(engine);
    test_polling(engine);

    /* Those of the engine itself. */
    self = new_listener(engine);
    input.path = recording;
    OK(psnd_engine_subscribe(engine, "process.*", hear, self, forget, &self->subscription, NULL));
    {
        psnd_outputs outputs = 0;
        OK(psnd_engine_process_to_memory(engine, &input,
                                         "{\"trim\": {\"end_s\": 1}, \"outputs\": [{\"format\": {\"format\": \"wav\"}}]}", NULL, NULL,
                                         &outputs, NULL));
        OK(psnd_outputs_free(outputs));
    }
    wait_for(self, &self->heard, 3);
    OK(psnd_subscription_free(self->subscription));
    CHECK(self->destroyed == 1);
    free(self);

    /* The engine goes first, from its own callback; what hangs on it can be freed all the same. */
    self = new_listener(engine);
    self->free_engine_at = 1;
    OK(psnd_engine_poll(engine, "test.*", &poller, NULL));
    OK(psnd_engine_subscribe(engine, "test.*", hear, self, forget, &self->subscription, NULL));
    OK(psnd_engine_publish(engine, "test.last", "1", NULL, NULL));
    wait_for(self, &self->heard, 1);
    pause_ms(5);
    OK(psnd_poller_next(poller, 0, &text, NULL));
    psnd_string_free(text);
    OK(psnd_subscription_free(self->subscription));
    CHECK(self->destroyed == 1);
    OK(psnd_poller_free(poller));
    GIVES(INVALID_HANDLE, psnd_engine_free(engine));
    free(self);
}
