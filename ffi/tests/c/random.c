/* Random sequences of calls on objects that live, were freed, or never were: what is refused and what is not, as a model says. */
#include "check.h"

#define SLOTS 64
#define STEPS 20000

enum kind { KIND_CHAIN, KIND_METER, KIND_RESAMPLER, KIND_CANCEL, KIND_AUDIO, KINDS };

/* What the model knows of a handle: its kind, and whether it lives. */
struct known {
    uint64_t handle;
    enum kind kind;
    int lives;
};

static uint32_t state = 1;

static uint32_t next(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static int make(struct known *known) {
    known->kind = (enum kind)next(KINDS);
    known->lives = 1;
    known->handle = 0;
    switch (known->kind) {
    case KIND_CHAIN:
        return (int)psnd_chain_new("[\"gain\"]", 48000, "stereo", 64, &known->handle, NULL);
    case KIND_METER:
        return (int)psnd_meter_new(48000, "mono", "{\"true_peak\": false}", &known->handle, NULL);
    case KIND_RESAMPLER:
        return (int)psnd_resampler_new(48000, 24000, 1, "fast", &known->handle, NULL);
    case KIND_CANCEL:
        return (int)psnd_cancel_new(&known->handle, NULL);
    default:
        return (int)psnd_audio_from_interleaved(left, 10, 48000, "mono", &known->handle, NULL);
    }
}

/* Frees as `kind`. */
static int end(enum kind kind, uint64_t handle) {
    switch (kind) {
    case KIND_CHAIN:
        return (int)psnd_chain_free(handle);
    case KIND_METER:
        return (int)psnd_meter_free(handle);
    case KIND_RESAMPLER:
        return (int)psnd_resampler_free(handle);
    case KIND_CANCEL:
        return (int)psnd_cancel_free(handle);
    default:
        return (int)psnd_audio_free(handle);
    }
}

/* Uses as `kind`. */
static int use(enum kind kind, uint64_t handle) {
    float samples[2 * 64] = {0};
    size_t frames = 0;
    bool cancelled = false;
    switch (kind) {
    case KIND_CHAIN:
        return (int)psnd_chain_process_interleaved(handle, samples, next(65), NULL);
    case KIND_METER:
        return (int)psnd_meter_push_interleaved(handle, samples, next(65), NULL);
    case KIND_RESAMPLER:
        return (int)psnd_resampler_max_output_frames(handle, next(65), &frames, NULL);
    case KIND_CANCEL:
        return (int)psnd_cancel_is_cancelled(handle, &cancelled, NULL);
    default:
        return (int)psnd_audio_copy_interleaved(handle, samples, next(65), &frames, NULL);
    }
}

void test_random(void) {
    static struct known known[SLOTS];
    unsigned long wrong = 0;
    int step, index;
    for (index = 0; index < SLOTS; index++) {
        OK(make(&known[index]));
    }
    for (step = 0; step < STEPS; step++) {
        struct known *one = &known[next(SLOTS)];
        const enum kind as = next(4) == 0 ? (enum kind)next(KINDS) : one->kind;
        const int fits = as == one->kind && one->lives;
        const int expected = fits ? PSND_STATUS_OK : PSND_STATUS_INVALID_HANDLE;
        switch (next(4)) {
        case 0:
            wrong += end(as, one->handle) != expected;
            one->lives = one->lives && !fits;
            break;
        case 1:
            if (!one->lives) {
                wrong += make(one) != PSND_STATUS_OK;
            }
            break;
        default:
            wrong += use(as, one->handle) != expected;
        }
        calls++;
    }
    CHECK(wrong == 0);
    for (index = 0; index < SLOTS; index++) {
        if (known[index].lives) {
            OK(end(known[index].kind, known[index].handle));
        }
    }
}
