/* Calls everything in the interface, most of it wrongly, too. To be run under valgrind and AddressSanitizer. */
#include "check.h"

unsigned long calls;
unsigned long mistakes;
const char *folder;
const char *recording;
float left[FRAMES];
float right[FRAMES];
float *both[2] = {left, right};

const char *in_folder(const char *name) {
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void fill_noise(void) {
    unsigned state[2] = {1, 2};
    size_t frame, channel;
    for (channel = 0; channel < 2; channel++) {
        for (frame = 0; frame < FRAMES; frame++) {
            state[channel] = state[channel] * 1664525u + 1013904223u;
            both[channel][frame] = ((float)(state[channel] >> 8) / 8388608.0f - 1.0f) * 0.25f;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s FOLDER RECORDING\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    folder = argv[1];
    recording = argv[2];
    fill_noise();
    test_about();
    test_handles();
    test_live();
    test_audio();
    test_engine();
    test_streams();
    test_calls();
    test_events();
    test_observe();
    test_jobs();
    test_pictures();
    test_random();
    test_threads();
    printf("C interface: %lu calls, %lu mistakes\n", calls, mistakes);
    return mistakes == 0 && calls >= 250 ? 0 : 1;
}
