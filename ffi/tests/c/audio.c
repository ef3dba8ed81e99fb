/* Audio in memory. */
#include "check.h"

void test_audio(void) {
    psnd_audio audio = 0, other = 0;
    uint32_t rate_hz = 0;
    size_t count = 0;
    const float *channel = NULL;
    char *text = NULL;
    float flat[2 * 100];
    FAILS(INVALID_VALUE, "out_audio", psnd_audio_from_planar((const float *const *)both, 2, 10, 48000, "stereo", NULL, &error));
    FAILS(INVALID_VALUE, "\"layout\"", psnd_audio_from_planar((const float *const *)both, 2, 10, 48000, NULL, &audio, &error));
    FAILS(OUT_OF_RANGE, "channel_count", psnd_audio_from_planar((const float *const *)both, 2, 10, 48000, "mono", &audio, &error));
    FAILS(INVALID_VALUE, "\"channels\"", psnd_audio_from_planar(NULL, 2, 10, 48000, "stereo", &audio, &error));
    FAILS(OUT_OF_RANGE, "\"frames\"", psnd_audio_from_planar((const float *const *)both, 2, SIZE_MAX, 48000, "stereo", &audio, &error));
    FAILS(OUT_OF_RANGE, "\"frames\"", psnd_audio_from_interleaved(left, SIZE_MAX / 4, 48000, "stereo", &audio, &error));
    FAILS(INVALID_VALUE, "\"samples\"", psnd_audio_from_interleaved(NULL, 10, 48000, "stereo", &audio, &error));
    CHECK(audio == 0);
    OK(psnd_audio_from_planar((const float *const *)both, 2, 100, 44100, "stereo", &audio, NULL));
    OK(psnd_audio_rate_hz(audio, &rate_hz, NULL));
    CHECK(rate_hz == 44100);
    OK(psnd_audio_channels(audio, &count, NULL));
    CHECK(count == 2);
    OK(psnd_audio_frames(audio, &count, NULL));
    CHECK(count == 100);
    OK(psnd_audio_layout(audio, &text, NULL));
    HOLDS(text, "stereo");
    OK(psnd_audio_channel(audio, 1, &channel, NULL));
    CHECK(channel != NULL && memcmp(channel, right, 100 * sizeof(float)) == 0);
    FAILS(OUT_OF_RANGE, "\"channel\"", psnd_audio_channel(audio, 2, &channel, &error));
    FAILS(OUT_OF_RANGE, "\"channel\"", psnd_audio_channel(audio, SIZE_MAX, &channel, &error));
    FAILS(INVALID_VALUE, "out_samples", psnd_audio_channel(audio, 0, NULL, &error));
    FAILS(INVALID_VALUE, "out_rate_hz", psnd_audio_rate_hz(audio, NULL, &error));
    FAILS(INVALID_VALUE, "out_channels", psnd_audio_channels(audio, NULL, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_audio_frames(audio, NULL, &error));
    FAILS(INVALID_VALUE, "out_layout", psnd_audio_layout(audio, NULL, &error));
    /* A buffer that is too short gets what fits. */
    flat[20] = 7.0f;
    OK(psnd_audio_copy_interleaved(audio, flat, 10, &count, NULL));
    CHECK(count == 10 && flat[0] == left[0] && flat[19] == right[9] && flat[20] == 7.0f);
    OK(psnd_audio_copy_interleaved(audio, flat, 100, &count, NULL));
    CHECK(count == 100);
    OK(psnd_audio_copy_interleaved(audio, NULL, 0, &count, NULL));
    CHECK(count == 0);
    FAILS(INVALID_VALUE, "\"samples\"", psnd_audio_copy_interleaved(audio, NULL, 1, &count, &error));
    FAILS(INVALID_VALUE, "out_frames", psnd_audio_copy_interleaved(audio, flat, 1, NULL, &error));
    OK(psnd_audio_copy_interleaved(audio, flat, 100, &count, NULL));
    OK(psnd_audio_from_interleaved(flat, 100, 44100, "2", &other, NULL));
    OK(psnd_audio_channel(other, 0, &channel, NULL));
    CHECK(channel != NULL && memcmp(channel, left, 100 * sizeof(float)) == 0);
    OK(psnd_audio_free(other));
    OK(psnd_audio_from_planar(NULL, 2, 0, 44100, "stereo", &other, NULL));
    OK(psnd_audio_free(other));
    OK(psnd_audio_free(audio));
    GIVES(INVALID_HANDLE, psnd_audio_channel(audio, 0, &channel, NULL));
}
