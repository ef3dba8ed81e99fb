#define _XOPEN_SOURCE 700
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint32_t ROUND_CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned by) {
    return x >> by | x << (32 - by);
}

static void sha256_block(sha256 *self) {
    uint32_t w[64], s[8];
    unsigned n;
    for (n = 0; n < 16; n++) {
        const unsigned char *b = self->block + 4 * n;
        w[n] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    }
    for (n = 16; n < 64; n++) {
        const uint32_t a = w[n - 15], b = w[n - 2];
        w[n] = w[n - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[n - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(s, self->state, sizeof s);
    for (n = 0; n < 64; n++) {
        const uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                            ROUND_CONSTANTS[n] + w[n];
        const uint32_t t2 =
            (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (n = 0; n < 8; n++) {
        self->state[n] += s[n];
    }
}

void sha256_start(sha256 *self) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(self->state, start, sizeof start);
    self->bytes = 0;
}

void sha256_add(sha256 *self, const void *data, size_t size) {
    const unsigned char *from = data;
    while (size > 0) {
        const size_t used = (size_t)(self->bytes % 64);
        const size_t count = size < 64 - used ? size : 64 - used;
        memcpy(self->block + used, from, count);
        self->bytes += count;
        from += count;
        size -= count;
        if (self->bytes % 64 == 0) {
            sha256_block(self);
        }
    }
}

void sha256_end(sha256 *self, char *hex) {
    const uint64_t bits = self->bytes * 8;
    unsigned char length[8];
    unsigned n;
    for (n = 0; n < 8; n++) {
        length[n] = (unsigned char)(bits >> (56 - 8 * n));
    }
    sha256_add(self, "\x80", 1);
    while (self->bytes % 64 != 56) {
        sha256_add(self, "", 1);
    }
    sha256_add(self, length, 8);
    for (n = 0; n < 8; n++) {
        snprintf(hex + 8 * n, 9, "%08lx", (unsigned long)self->state[n]);
    }
}

void sha256_add_planar(sha256 *self, const float *const *channels, size_t channel_count, size_t frames) {
    size_t frame, channel;
    for (frame = 0; frame < frames; frame++) {
        for (channel = 0; channel < channel_count; channel++) {
            uint32_t bits;
            unsigned char bytes[4];
            memcpy(&bits, &channels[channel][frame], 4);
            bytes[0] = (unsigned char)bits;
            bytes[1] = (unsigned char)(bits >> 8);
            bytes[2] = (unsigned char)(bits >> 16);
            bytes[3] = (unsigned char)(bits >> 24);
            sha256_add(self, bytes, 4);
        }
    }
}

unsigned char *base64_decode(const char *text, size_t *size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char *out = malloc(strlen(text) + 1);
    uint32_t bits = 0;
    unsigned have = 0;
    *size = 0;
    for (; out != NULL && *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*size)++] = (unsigned char)(bits >> have);
        }
    }
    return out;
}

unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    *size = 0;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        const long length = ftell(file);
        rewind(file);
        bytes = malloc((size_t)length + 1);
        if (bytes != NULL) {
            *size = fread(bytes, 1, (size_t)length, file);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

int fill_signal(const char *kind, uint32_t number, float gain, size_t channel, float *samples, size_t frames) {
    size_t f;
    if (strcmp(kind, "noise") == 0) {
        uint32_t state = number + (uint32_t)channel;
        for (f = 0; f < frames; f++) {
            state = state * 1664525u + 1013904223u;
            samples[f] = ((float)(state >> 8) / 8388608.0f - 1.0f) * gain;
        }
    } else if (strcmp(kind, "square") == 0) {
        const size_t period = number > 0 ? number : 1;
        const float high = channel % 2 == 1 ? -gain : gain;
        for (f = 0; f < frames; f++) {
            samples[f] = f % period < period / 2 ? high : -high;
        }
    } else if (strcmp(kind, "ramp") == 0) {
        for (f = 0; f < frames; f++) {
            samples[f] = ((float)((f + channel) % 256) / 128.0f - 1.0f) * gain;
        }
    } else if (strcmp(kind, "impulse") == 0 || strcmp(kind, "silence") == 0) {
        for (f = 0; f < frames; f++) {
            samples[f] = kind[0] == 'i' && f == number ? gain : 0.0f;
        }
    } else {
        return 0;
    }
    return 1;
}

char *make_folder(void) {
    const char *base = getenv("TMPDIR");
    const char *pattern = "/parity-XXXXXX";
    char *path;
    if (base == NULL || *base == '\0') {
        base = "/tmp";
    }
    path = malloc(strlen(base) + strlen(pattern) + 1);
    if (path != NULL) {
        strcpy(path, base);
        strcat(path, pattern);
        if (mkdtemp(path) == NULL) {
            free(path);
            path = NULL;
        }
    }
    return path;
}

void list_folder(const char *folder, void (*each)(void *context, const char *name), void *context) {
    struct dirent **names = NULL;
    const int count = scandir(folder, &names, NULL, alphasort);
    int index;
    for (index = 0; index < count; index++) {
        if (strcmp(names[index]->d_name, ".") != 0 && strcmp(names[index]->d_name, "..") != 0) {
            each(context, names[index]->d_name);
        }
        free(names[index]);
    }
    free(names);
}

static void remove_one(void *context, const char *name) {
    const char *folder = context;
    char *path = malloc(strlen(folder) + strlen(name) + 2);
    if (path != NULL) {
        sprintf(path, "%s/%s", folder, name);
        remove(path);
        free(path);
    }
}

void remove_folder(const char *folder) {
    char *copy = malloc(strlen(folder) + 1);
    if (copy != NULL) {
        strcpy(copy, folder);
        list_folder(folder, remove_one, copy);
        free(copy);
    }
    rmdir(folder);
}
