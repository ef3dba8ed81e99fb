/* Time to load the library and make an engine, in milliseconds. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    int32_t (*make)(const char *, uint64_t *, void *) = NULL;
    uint64_t engine = 0;
    const double start = now_ms();
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *found = library == NULL ? NULL : dlsym(library, "psnd_engine_new");
    memcpy(&make, &found, sizeof make);
    if (make == NULL || make(NULL, &engine, NULL) != 0) {
        return 2;
    }
    printf("%.3f\n", now_ms() - start);
    return 0;
}
