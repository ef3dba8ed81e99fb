/* Several threads at the same objects. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

#define THREADS 8
#define ROUNDS 200

struct shared {
    psnd_engine engine;
    psnd_chain chain;
    psnd_meter meters[ROUNDS];
    pthread_barrier_t start;
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    unsigned long processed, busy, freed, others;
};

static void *work(void *argument) {
    struct worker *self = argument;
    struct shared *shared = self->shared;
    float samples[2 * 64] = {0};
    int round;
    pthread_barrier_wait(&shared->start);
    for (round = 0; round < ROUNDS; round++) {
        char *text = NULL;
        psnd_error *error = NULL;
        double lufs = 0.0;
        int status = (int)psnd_chain_process_interleaved(shared->chain, samples, 64, &error);
        self->processed += status == PSND_STATUS_OK;
        self->busy += status == PSND_STATUS_BUSY;
        self->others += status != PSND_STATUS_OK && status != PSND_STATUS_BUSY;
        psnd_error_free(error);
        status = (int)psnd_chain_set_parameter(shared->chain, 0, "gain_db", -1.0, NULL);
        /* The queue of values may be full when nobody gets to process. */
        self->others += status != PSND_STATUS_OK && status != PSND_STATUS_UNAVAILABLE;
        /* One thread is the one that frees; the others find it or do not. */
        status = (int)psnd_meter_integrated_lufs(shared->meters[round], &lufs, NULL);
        self->others += status != PSND_STATUS_OK && status != PSND_STATUS_BUSY && status != PSND_STATUS_INVALID_HANDLE;
        status = (int)psnd_meter_free(shared->meters[round]);
        self->freed += status == PSND_STATUS_OK;
        self->others += status != PSND_STATUS_OK && status != PSND_STATUS_INVALID_HANDLE;
        if (round % 50 == 0) {
            /* Engines are for all. */
            status = (int)psnd_engine_recipe(shared->engine, "{\"preset\": \"podcast\"}", &text, NULL);
            self->others += status != PSND_STATUS_OK;
            psnd_string_free(text);
        }
    }
    return NULL;
}

void test_threads(void) {
    static struct shared shared;
    static struct worker workers[THREADS];
    unsigned long processed = 0, busy = 0, freed = 0;
    int index;
    OK(psnd_engine_new(NULL, &shared.engine, NULL));
    OK(psnd_chain_new("[\"gain\"]", 48000, "stereo", 64, &shared.chain, NULL));
    for (index = 0; index < ROUNDS; index++) {
        OK(psnd_meter_new(48000, "mono", "{\"true_peak\": false}", &shared.meters[index], NULL));
    }
    pthread_barrier_init(&shared.start, NULL, THREADS);
    for (index = 0; index < THREADS; index++) {
        workers[index].shared = &shared;
        CHECK(pthread_create(&workers[index].thread, NULL, work, &workers[index]) == 0);
    }
    for (index = 0; index < THREADS; index++) {
        pthread_join(workers[index].thread, NULL);
        processed += workers[index].processed;
        busy += workers[index].busy;
        freed += workers[index].freed;
        CHECK(workers[index].others == 0);
        calls += ROUNDS * 4;
    }
    CHECK(processed > 0 && processed + busy == (unsigned long)THREADS * ROUNDS);
    CHECK(freed == ROUNDS);
    OK(psnd_chain_free(shared.chain));
    OK(psnd_engine_free(shared.engine));
    pthread_barrier_destroy(&shared.start);
}
