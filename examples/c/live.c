/* A live chain behind the callback of an audio device, while another thread turns a knob.
 *
 *     live 2
 *
 * The device is played by a thread that calls back every 10 ms of audio, as fast as it can, with a tone that the callback filters in
 * place. Where audio comes from and goes to (ALSA, PortAudio, JACK, a plug-in host) does not matter to the chain.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <puresound.h>

#define RATE_HZ 48000
#define BLOCK_FRAMES 480

typedef struct {
    psnd_chain chain;
    psnd_meter meter;
    unsigned long failures;
} host;

/* What the device calls. Nothing in here allocates, locks or waits. */
static void on_audio(host *self, float *samples, size_t frames) {
    /* NULL: an error would have to be allocated. The status tells enough. */
    if (psnd_chain_process_interleaved(self->chain, samples, frames, NULL) != PSND_STATUS_OK) {
        self->failures++;
    }
}

typedef struct {
    host *host;
    unsigned long blocks;
} device;

static void *run_device(void *argument) {
    device *self = argument;
    float samples[2 * BLOCK_FRAMES];
    unsigned long block, frame, time = 0;
    for (block = 0; block < self->blocks; block++) {
        for (frame = 0; frame < BLOCK_FRAMES; frame++, time++) {
            const float tone = 0.5f * (float)sin(6.283185307179586 * 440.0 * (double)time / RATE_HZ);
            samples[2 * frame] = samples[2 * frame + 1] = tone;
        }
        on_audio(self->host, samples, BLOCK_FRAMES);
        /* The meter looks back: it belongs behind the device, not into its callback. */
        if (psnd_meter_push_interleaved(self->host->meter, samples, BLOCK_FRAMES, NULL) != PSND_STATUS_OK) {
            self->host->failures++;
        }
    }
    return NULL;
}

static int failed(psnd_error *error) {
    fprintf(stderr, "%s: %s\n", psnd_error_name(error), psnd_error_message(error));
    psnd_error_free(error);
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static const char *const filters = "[{\"type\": \"highpass\", \"cutoff_hz\": 80}, {\"type\": \"gain\"}, {\"type\": \"limiter\"}]";
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    host self = {0, 0, 0};
    device played = {&self, 0};
    psnd_error *error = NULL;
    pthread_t thread;
    size_t latency_frames = 0;
    double lufs = 0.0;
    int step;

    if (!(seconds > 0.0 && seconds < 3600.0)) {
        fprintf(stderr, "usage: %s [SECONDS]\n", argv[0]);
        return 2;
    }
    /* All that may fail or allocate comes before the audio starts. */
    if (psnd_chain_new(filters, RATE_HZ, "stereo", BLOCK_FRAMES, &self.chain, &error) != PSND_STATUS_OK ||
        psnd_chain_latency_frames(self.chain, &latency_frames, &error) != PSND_STATUS_OK ||
        psnd_meter_new(RATE_HZ, "stereo", NULL, &self.meter, &error) != PSND_STATUS_OK) {
        return failed(error);
    }
    played.blocks = (unsigned long)(seconds * RATE_HZ / BLOCK_FRAMES) + 1;
    if (pthread_create(&thread, NULL, run_device, &played) != 0) {
        fprintf(stderr, "no thread\n");
        return EXIT_FAILURE;
    }
    /* The knob: from any thread, while the other one processes. It glides there, without a click. */
    for (step = 0; step <= 10; step++) {
        if (psnd_chain_set_parameter(self.chain, 1, "gain_db", -(double)step, &error) != PSND_STATUS_OK) {
            failed(error);
            error = NULL;
        }
    }
    pthread_join(thread, NULL);
    if (psnd_meter_integrated_lufs(self.meter, &lufs, &error) != PSND_STATUS_OK) {
        return failed(error);
    }
    printf("%.1f s, latency %lu frames, %.1f LUFS, %lu failures\n", seconds, (unsigned long)latency_frames, lufs, self.failures);
    psnd_chain_free(self.chain);
    psnd_meter_free(self.meter);
    return self.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
