/* What a call costs. With the argument `block`: prints what a block costs that goes through four filters, in nanoseconds, which the
 * program `direct` prints for Rust. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <puresound.h>

#define ROUNDS 25
#define BLOCK_FRAMES 480
#define BLOCKS 2000
#define LONG_FRAMES 480000
#define CALLS 1000000

static double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void must(psnd_status status) {
    if (status != PSND_STATUS_OK) {
        fprintf(stderr, "%s\n", psnd_status_name((int32_t)status));
        exit(2);
    }
}

static void fill(float *samples, size_t count) {
    uint32_t state = 1;
    for (; count > 0; count--) {
        state = state * 1664525u + 1013904223u;
        *samples++ = ((float)(state >> 8) / 8388608.0f - 1.0f) * 0.25f;
    }
}

/* Best time of several rounds, for one of `count`, in nanoseconds. */
#define BEST_NS(count, work)                         \
    double best_ns = 1e300;                          \
    int round;                                       \
    for (round = 0; round < ROUNDS; round++) {       \
        const double start = now_s();                \
        double ns;                                   \
        work;                                        \
        ns = (now_s() - start) * 1e9 / (count);      \
        best_ns = ns < best_ns ? ns : best_ns;       \
    }

static double smallest_ns(psnd_chain chain) {
    size_t frames = 0;
    long call;
    BEST_NS(CALLS, for (call = 0; call < CALLS; call++) must(psnd_chain_latency_frames(chain, &frames, NULL)));
    return best_ns;
}

static double empty_block_ns(psnd_chain chain) {
    long call;
    BEST_NS(CALLS, for (call = 0; call < CALLS; call++) must(psnd_chain_process_interleaved(chain, NULL, 0, NULL)));
    return best_ns;
}

static double block_ns(psnd_chain chain, float *const *channels) {
    long call;
    BEST_NS(BLOCKS, for (call = 0; call < BLOCKS; call++) must(psnd_chain_process(chain, channels, 2, BLOCK_FRAMES, NULL)));
    return best_ns;
}

static double long_ns(psnd_chain chain, float *const *channels) {
    BEST_NS(1, must(psnd_chain_process(chain, channels, 2, LONG_FRAMES, NULL)));
    return best_ns;
}

static double long_interleaved_ns(psnd_chain chain, float *samples) {
    BEST_NS(1, must(psnd_chain_process_interleaved(chain, samples, LONG_FRAMES, NULL)));
    return best_ns;
}

static double copy_ns(float *to, const float *from) {
    BEST_NS(1, memcpy(to, from, 2 * LONG_FRAMES * sizeof *to));
    /* The copy is used, so it is made. */
    if (to[LONG_FRAMES] != from[LONG_FRAMES]) {
        exit(2);
    }
    return best_ns;
}

static void at_most(const char *name, double value, double goal) {
    printf("%s: %.4g  goal <= %g  %s\n", name, value, goal, value <= goal ? "PASS" : "FAIL");
}

static void at_least(const char *name, double value, double goal) {
    printf("%s: %.4g  goal >= %g  %s\n", name, value, goal, value >= goal ? "PASS" : "FAIL");
}

int main(int argc, char **argv) {
    float *samples = malloc(2 * LONG_FRAMES * sizeof *samples), *other = malloc(2 * LONG_FRAMES * sizeof *other);
    float *channels[2];
    psnd_chain gain = 0, four = 0;
    double copied;
    if (samples == NULL || other == NULL) {
        return 2;
    }
    fill(samples, 2 * LONG_FRAMES);
    channels[0] = samples;
    channels[1] = samples + LONG_FRAMES;
    must(psnd_chain_new("[\"gain:gain_db=-0.001\"]", 48000, "stereo", BLOCK_FRAMES, &gain, NULL));
    must(psnd_chain_new("[\"highpass:cutoff_hz=80\",\"peak_eq:frequency_hz=3000,gain_db=4\",\"compressor\",\"limiter\"]", 48000, "stereo",
                        BLOCK_FRAMES, &four, NULL));
    if (argc == 2 && strcmp(argv[1], "block") == 0) {
        printf("%.1f\n", block_ns(four, channels));
        return 0;
    }
    at_most("smallest call, ns", smallest_ns(gain), 50.0);
    at_most("processing of an empty block, ns", empty_block_ns(gain), 50.0);
    copied = copy_ns(other, samples);
    at_least("10 s of stereo through a gain, of the speed of memcpy", copied / long_ns(gain, channels), 0.8);
    printf("10 s of stereo through a gain, interleaved, of the speed of memcpy: %.4g\n", copied / long_interleaved_ns(gain, samples));
    psnd_chain_free(gain);
    psnd_chain_free(four);
    free(samples);
    free(other);
    return 0;
}
