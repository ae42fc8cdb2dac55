/* A capture device of ALSA without hardware: fixed sample rate, channels and format; its sound is a raw file, looped.
 *
 *   gcc -shared -fPIC -DPIC -o fake_microphone.so fake_microphone.c -lasound
 *   pcm_type.fakemic { lib "fake_microphone.so" }
 *   pcm.stereo { type fakemic file "stereo.raw" rate 48000 channels 2 format "S16_LE" }
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct microphone {
    snd_pcm_ioplug_t plug;
    int timer;
    const char *sound;
    size_t bytes, frames, position;
    long frame_bytes, rate;
    struct timespec started;
};

static unsigned long long recorded(const struct microphone *self)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - self->started.tv_sec) + (now.tv_nsec - self->started.tv_nsec) / 1e9;
    return (unsigned long long)(seconds * self->rate);
}

static int set_timer(struct microphone *self, long nanoseconds)
{
    struct itimerspec every = {{0, nanoseconds}, {0, nanoseconds}};
    return timerfd_settime(self->timer, 0, &every, NULL);
}

static int on_start(snd_pcm_ioplug_t *plug)
{
    struct microphone *self = plug->private_data;
    clock_gettime(CLOCK_MONOTONIC, &self->started);
    return set_timer(self, 8000000);
}

static int on_stop(snd_pcm_ioplug_t *plug) { return set_timer(plug->private_data, 0); }

static int on_prepare(snd_pcm_ioplug_t *plug) { (void)plug; return 0; }

static snd_pcm_sframes_t on_pointer(snd_pcm_ioplug_t *plug)
{
    unsigned long long done = recorded(plug->private_data);
    if (done > plug->appl_ptr + plug->buffer_size)
        return -EPIPE; /* overrun */
    return (snd_pcm_sframes_t)(done % plug->buffer_size);
}

static snd_pcm_sframes_t on_transfer(snd_pcm_ioplug_t *plug, const snd_pcm_channel_area_t *areas,
                                     snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct microphone *self = plug->private_data;
    char *target = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    for (snd_pcm_uframes_t i = 0; i < size; i++) {
        memcpy(target + i * self->frame_bytes, self->sound + self->position * self->frame_bytes, self->frame_bytes);
        self->position = (self->position + 1) % self->frames;
    }
    return (snd_pcm_sframes_t)size;
}

static int on_poll(snd_pcm_ioplug_t *plug, struct pollfd *fds, unsigned int count, unsigned short *events)
{
    struct microphone *self = plug->private_data;
    uint64_t ticks;
    (void)count;
    *events = 0;
    if (fds[0].revents & POLLIN) {
        if (read(self->timer, &ticks, sizeof ticks) < 0)
            return 0;
        if (recorded(self) - plug->appl_ptr >= plug->period_size)
            *events = POLLIN;
    }
    return 0;
}

static int on_close(snd_pcm_ioplug_t *plug)
{
    struct microphone *self = plug->private_data;
    munmap((void *)self->sound, self->bytes);
    close(self->timer);
    free(self);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = on_start, .stop = on_stop, .prepare = on_prepare, .pointer = on_pointer,
    .transfer = on_transfer, .poll_revents = on_poll, .close = on_close,
};

static int map_sound(struct microphone *self, const char *path)
{
    struct stat status;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size < self->frame_bytes) {
        if (fd >= 0)
            close(fd);
        return -ENOENT;
    }
    self->bytes = (size_t)status.st_size;
    self->frames = self->bytes / self->frame_bytes;
    self->sound = mmap(NULL, self->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    return self->sound == MAP_FAILED ? -ENOMEM : 0;
}

static int constrain(struct microphone *self, snd_pcm_format_t format, long channels)
{
    unsigned int access[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    unsigned int formats[] = {(unsigned int)format};
    unsigned int frame = (unsigned int)self->frame_bytes;
    snd_pcm_ioplug_t *plug = &self->plug;
    int error = snd_pcm_ioplug_set_param_list(plug, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
    error |= snd_pcm_ioplug_set_param_list(plug, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
    error |= snd_pcm_ioplug_set_param_minmax(plug, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels);
    error |= snd_pcm_ioplug_set_param_minmax(plug, SND_PCM_IOPLUG_HW_RATE, self->rate, self->rate);
    error |= snd_pcm_ioplug_set_param_minmax(plug, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64 * frame, 16384 * frame);
    error |= snd_pcm_ioplug_set_param_minmax(plug, SND_PCM_IOPLUG_HW_PERIODS, 2, 32);
    error |= snd_pcm_ioplug_set_param_minmax(plug, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128 * frame, 65536 * frame);
    return error ? -EINVAL : 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(fakemic)
{
    snd_config_iterator_t at, next;
    long channels = 2, rate = 48000;
    const char *format_name = "S16_LE", *path = NULL;
    (void)root;
    snd_config_for_each(at, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id;
        if (snd_config_get_id(entry, &id) < 0)
            continue;
        if (!strcmp(id, "channels"))
            snd_config_get_integer(entry, &channels);
        else if (!strcmp(id, "rate"))
            snd_config_get_integer(entry, &rate);
        else if (!strcmp(id, "format"))
            snd_config_get_string(entry, &format_name);
        else if (!strcmp(id, "file"))
            snd_config_get_string(entry, &path);
    }
    if (stream != SND_PCM_STREAM_CAPTURE)
        return -EINVAL;
    snd_pcm_format_t format = snd_pcm_format_value(format_name);
    struct microphone *self = calloc(1, sizeof *self);
    self->rate = rate;
    self->frame_bytes = snd_pcm_format_physical_width(format) / 8 * channels;
    int error = map_sound(self, path);
    if (error < 0) {
        free(self);
        return error;
    }
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->plug.version = SND_PCM_IOPLUG_VERSION;
    self->plug.name = "fake microphone";
    self->plug.poll_fd = self->timer;
    self->plug.poll_events = POLLIN;
    self->plug.callback = &callbacks;
    self->plug.private_data = self;
    error = snd_pcm_ioplug_create(&self->plug, name, stream, mode);
    if (error < 0) {
        close(self->timer);
        free(self);
        return error;
    }
    error = constrain(self, format, channels);
    if (error < 0) {
        snd_pcm_ioplug_delete(&self->plug);
        return error;
    }
    *pcmp = self->plug.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(fakemic);
