/* Nothing on the audio thread allocates or frees: this program's malloc counts. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "puresound.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *pointer);

static _Thread_local volatile int watched;
static _Thread_local volatile unsigned long counted;

void *malloc(size_t size) {
    counted = counted + (unsigned long)watched;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    counted = counted + (unsigned long)watched;
    return __libc_calloc(count, size);
}
void *realloc(void *pointer, size_t size) {
    counted = counted + (unsigned long)watched;
    return __libc_realloc(pointer, size);
}
int posix_memalign(void **pointer, size_t alignment, size_t size) {
    counted = counted + (unsigned long)watched;
    *pointer = __libc_memalign(alignment, size);
    return *pointer == NULL ? 12 : 0;
}
void free(void *pointer) {
    counted = counted + (unsigned long)watched;
    __libc_free(pointer);
}

#define FRAMES 1000

int main(void) {
    static const char *const chains[] = {
        "[\"gain\"]",
        "[{\"type\": \"highpass\", \"cutoff_hz\": 80}, {\"type\": \"peak_eq\", \"gain_db\": 4}, \"compressor\", \"limiter\"]",
        "[\"de_esser\", \"gate\", \"expander\", \"dc_blocker\"]",
        "[\"reverb\", \"echo\", \"chorus\"]",
        "[]",
    };
    static float left[FRAMES], right[FRAMES], both[2 * FRAMES];
    float *const channels[2] = {left, right};
    unsigned long calls = 0, failures = 0;
    size_t index, block, frame;
    void *volatile probe;
    /* The counting itself works. */
    watched = 1;
    probe = malloc(10);
    free(probe);
    watched = 0;
    if (counted != 2) {
        printf("this malloc is not used\n");
        return 2;
    }
    counted = 0;
    for (index = 0; index < sizeof chains / sizeof *chains; index++) {
        psnd_chain chain = 0;
        if (psnd_chain_new(chains[index], 48000, "stereo", 480, &chain, NULL) != PSND_STATUS_OK) {
            printf("no chain of %s\n", chains[index]);
            return 2;
        }
        for (block = 0; block < 200; block++) {
            for (frame = 0; frame < FRAMES; frame++) {
                left[frame] = both[2 * frame] = (float)((block * FRAMES + frame) % 256) / 256.0f - 0.5f;
                right[frame] = both[2 * frame + 1] = -left[frame] / 2.0f;
            }
            if (block % 50 == 10) {
                /* From the control thread in real life; a value that waits makes no work for the other one's allocator. */
                (void)psnd_chain_set_parameter(chain, 0, "gain_db", -3.0, NULL);
            }
            watched = 1;
            failures += psnd_chain_process(chain, channels, 2, block % 3 == 0 ? FRAMES : 64, NULL) != PSND_STATUS_OK;
            failures += psnd_chain_process_interleaved(chain, both, block % 3 == 0 ? 17 : FRAMES, NULL) != PSND_STATUS_OK;
            if (block % 40 == 39) {
                failures += psnd_chain_reset(chain, NULL) != PSND_STATUS_OK;
            }
            watched = 0;
            calls += 2;
        }
        psnd_chain_free(chain);
    }
    printf("%lu calls on an audio thread, %lu allocations, %lu failures\n", calls, counted, failures);
    return counted == 0 && failures == 0 ? 0 : 1;
}
