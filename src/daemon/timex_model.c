/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/timex_model.h"

#include <errno.h>
#include <stddef.h>

#define SCALE_SHIFT 32
#define SCALE (INT64_C(1) << SCALE_SHIFT)
#define HZ TIMEX_MODEL_HZ
#define USER_HZ 100

/* One ns of the corrected clock in units of real_frac. */
#define FRAC_PER_NS ((uint64_t)NS_PER_S << SCALE_SHIFT)

/* 2^-16 ppm in 2^-32 ns a second, and the kernel's way of dividing by it. */
#define PPM_SCALE (NS_PER_US << 16)
#define PPM_SCALE_INV_SHIFT 19
#define PPM_SCALE_INV ((INT64_C(1) << (PPM_SCALE_INV_SHIFT + SCALE_SHIFT)) / PPM_SCALE + 1)

#define PHASE_MAX_NS INT64_C(500000000)
#define FREQ_MAX_SCALED (INT64_C(500000) * SCALE)
#define SINGLESHOT_MAX_US INT64_C(500)
#define MAXERROR_GROWTH_US INT64_C(500)
#define TAI_MAX 100000

#define SHIFT_PLL 2
#define SHIFT_FLL 2
#define FLL_MIN_S 256
#define FLL_MAX_S 2048
#define CONSTANT_MAX 10
#define CONSTANT_BOOT 2

/* ADJ_OFFSET_SINGLESHOT and ADJ_OFFSET_SS_READ are this bit and others. */
#define MODE_ADJTIME 0x8000U
#define MODE_ADJTIME_READ 0x2000U

__extension__ typedef __int128 wide;

static int64_t shift_right(int64_t value, int bits)
{
    return value < 0 ? -(-value >> bits) : value >> bits;
}

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static int64_t second_of(int64_t real_ns)
{
    return real_ns / NS_PER_S - (real_ns % NS_PER_S < 0);
}

/* 2^-32 ns of the corrected clock in a second of RAW. */
static int64_t rate_scaled(const struct timex_model *model)
{
    return model->tick_us * NS_PER_US * USER_HZ * SCALE + model->freq_scaled +
           model->chunk_scaled * HZ;
}

/* The first whole ns of RAW, counted from now, at which the second has changed. */
static int64_t until_second(const struct timex_model *model)
{
    int64_t gap_ns = (second_of(model->real_ns) + 1) * NS_PER_S - model->real_ns;
    wide gap = (wide)gap_ns * (wide)FRAC_PER_NS - (wide)model->real_frac;
    wide rate = rate_scaled(model);

    return (int64_t)((gap + rate - 1) / rate);
}

static void run(struct timex_model *model, int64_t span_ns)
{
    wide sum = (wide)rate_scaled(model) * span_ns + (wide)model->real_frac;

    model->raw_ns += span_ns;
    model->real_ns += (int64_t)(sum / (wide)FRAC_PER_NS);
    model->real_frac = (uint64_t)(sum % (wide)FRAC_PER_NS);
}

static void second_overflow(struct timex_model *model)
{
    model->maxerror_us += MAXERROR_GROWTH_US;
    if (model->maxerror_us > TIMEX_MODEL_PHASE_LIMIT_US) {
        model->maxerror_us = TIMEX_MODEL_PHASE_LIMIT_US;
        model->status |= STA_UNSYNC;
    }

    model->chunk_scaled = shift_right(model->offset_scaled, SHIFT_PLL + model->constant);
    model->offset_scaled -= model->chunk_scaled;

    int64_t us = clamp(model->singleshot_us, -SINGLESHOT_MAX_US, SINGLESHOT_MAX_US);
    model->singleshot_us -= us;
    model->chunk_scaled += us * NS_PER_US / HZ * SCALE;
}

void timex_model_init(struct timex_model *model, int64_t raw_ns, int64_t real_ns)
{
    *model = (struct timex_model){
        .raw_ns = raw_ns,
        .real_ns = real_ns,
        .tick_us = TIMEX_MODEL_TICK_US,
        .maxerror_us = TIMEX_MODEL_PHASE_LIMIT_US,
        .esterror_us = TIMEX_MODEL_PHASE_LIMIT_US,
        .status = STA_UNSYNC,
        .constant = CONSTANT_BOOT,
    };
}

void timex_model_advance(struct timex_model *model, int64_t raw_ns)
{
    while (model->raw_ns < raw_ns) {
        int64_t boundary_ns = until_second(model);
        int64_t left_ns = raw_ns - model->raw_ns;

        run(model, left_ns < boundary_ns ? left_ns : boundary_ns);
        if (left_ns >= boundary_ns)
            second_overflow(model);
    }
}

int64_t timex_model_read(const struct timex_model *model, int64_t raw_ns)
{
    struct timex_model ahead = *model;

    timex_model_advance(&ahead, raw_ns);
    return ahead.real_ns;
}

static int validate(const struct timex *timex)
{
    if (timex->modes & MODE_ADJTIME) {
        if (!(timex->modes & ADJ_OFFSET))
            return -EINVAL;
    } else if (timex->modes & ADJ_TICK) {
        if (timex->tick < 900000 / USER_HZ || timex->tick > 1100000 / USER_HZ)
            return -EINVAL;
    }
    if (timex->modes & ADJ_SETOFFSET) {
        int64_t parts = (timex->modes & ADJ_NANO) ? NS_PER_S : NS_PER_S / NS_PER_US;
        if (timex->time.tv_usec < 0 || timex->time.tv_usec >= parts)
            return -EINVAL;
    }
    if (timex->modes & ADJ_FREQUENCY) {
        if (timex->freq < INT64_MIN / PPM_SCALE || timex->freq > INT64_MAX / PPM_SCALE)
            return -EINVAL;
    }
    return 0;
}

static int set_offset(struct timex_model *model, const struct timex *timex)
{
    int64_t part_ns =
        (timex->modes & ADJ_NANO) ? timex->time.tv_usec : timex->time.tv_usec * NS_PER_US;
    wide delta = (wide)timex->time.tv_sec * NS_PER_S + part_ns;
    wide real = model->real_ns + delta;

    if (!(real >= 0 && real < TIMESTAMP_LIMIT_NS))
        return -EINVAL;
    if (-delta > model->backward_ns)
        model->backward_ns = (int64_t)-delta;
    model->real_ns = (int64_t)real;

    model->singleshot_us = 0;
    model->offset_scaled = 0;
    model->chunk_scaled = 0;
    model->status |= STA_UNSYNC;
    model->maxerror_us = TIMEX_MODEL_PHASE_LIMIT_US;
    model->esterror_us = TIMEX_MODEL_PHASE_LIMIT_US;
    return 0;
}

static void set_status(struct timex_model *model, int status)
{
    if ((model->status & STA_PLL) && !(status & STA_PLL))
        model->status = STA_UNSYNC;
    if (!(model->status & STA_PLL) && (status & STA_PLL))
        model->reftime_s = second_of(model->real_ns);
    model->status = (model->status & STA_RONLY) | (status & ~STA_RONLY);
}

static void set_constant(struct timex_model *model, int64_t constant)
{
    constant = clamp(constant, 0, CONSTANT_MAX);
    if (!(model->status & STA_NANO))
        constant += 4;
    model->constant = (int32_t)clamp(constant, 0, CONSTANT_MAX);
}

static int64_t fll_frequency(struct timex_model *model, int64_t offset_ns, int64_t interval_s)
{
    model->status &= ~STA_MODE;
    if (interval_s < FLL_MIN_S || (!(model->status & STA_FLL) && interval_s <= FLL_MAX_S))
        return 0;
    model->status |= STA_MODE;
    return offset_ns * (SCALE >> SHIFT_FLL) / interval_s;
}

static void set_phase(struct timex_model *model, int64_t offset)
{
    if (!(model->status & STA_PLL))
        return;
    if (!(model->status & STA_NANO))
        offset = clamp(offset, -NS_PER_S, NS_PER_S) * NS_PER_US;
    offset = clamp(offset, -PHASE_MAX_NS, PHASE_MAX_NS);

    int64_t now_s = second_of(model->real_ns);
    int64_t interval_s = (model->status & STA_FREQHOLD) ? 0 : now_s - model->reftime_s;
    int64_t longest_s = INT64_C(1) << (SHIFT_PLL + 1 + model->constant);
    int64_t freq = model->freq_scaled + fll_frequency(model, offset, interval_s);

    freq += offset * clamp(interval_s, -longest_s, longest_s) *
            (INT64_C(1) << (SCALE_SHIFT - 2 * (SHIFT_PLL + 2 + model->constant)));
    model->freq_scaled = clamp(freq, -FREQ_MAX_SCALED, FREQ_MAX_SCALED);
    model->reftime_s = now_s;
    model->offset_scaled = offset * SCALE / HZ;
}

static void set_modes(struct timex_model *model, const struct timex *timex)
{
    if (timex->modes & ADJ_STATUS)
        set_status(model, timex->status);
    if (timex->modes & ADJ_NANO)
        model->status |= STA_NANO;
    if (timex->modes & ADJ_MICRO)
        model->status &= ~STA_NANO;
    if (timex->modes & ADJ_FREQUENCY)
        model->freq_scaled = clamp(timex->freq * PPM_SCALE, -FREQ_MAX_SCALED, FREQ_MAX_SCALED);
    if (timex->modes & ADJ_MAXERROR)
        model->maxerror_us = clamp(timex->maxerror, 0, TIMEX_MODEL_PHASE_LIMIT_US);
    if (timex->modes & ADJ_ESTERROR)
        model->esterror_us = clamp(timex->esterror, 0, TIMEX_MODEL_PHASE_LIMIT_US);
    if (timex->modes & ADJ_TIMECONST)
        set_constant(model, timex->constant);
    if ((timex->modes & ADJ_TAI) && timex->constant >= 0 && timex->constant <= TAI_MAX)
        model->tai = (int32_t)timex->constant;
    if (timex->modes & ADJ_OFFSET)
        set_phase(model, timex->offset);
    if (timex->modes & ADJ_TICK)
        model->tick_us = timex->tick;
}

static void fill(const struct timex_model *model, struct timex *timex)
{
    int64_t part_ns = model->real_ns - second_of(model->real_ns) * NS_PER_S;

    timex->freq =
        shift_right((model->freq_scaled >> PPM_SCALE_INV_SHIFT) * PPM_SCALE_INV, SCALE_SHIFT);
    timex->maxerror = model->maxerror_us;
    timex->esterror = model->esterror_us;
    timex->status = model->status;
    timex->constant = model->constant;
    timex->precision = 1;
    timex->tolerance = FREQ_MAX_SCALED / PPM_SCALE;
    timex->tick = model->tick_us;
    timex->tai = model->tai;
    timex->time.tv_sec = second_of(model->real_ns);
    timex->time.tv_usec = (model->status & STA_NANO) ? part_ns : part_ns / NS_PER_US;
}

int timex_model_adjust(struct timex_model *model, int64_t raw_ns, struct timex *timex)
{
    int r = validate(timex);

    if (r < 0)
        return r;
    timex_model_advance(model, raw_ns);
    if (timex->modes & ADJ_SETOFFSET) {
        r = set_offset(model, timex);
        if (r < 0)
            return r;
    }
    if (timex->modes & MODE_ADJTIME) {
        int64_t before_us = model->singleshot_us;
        if (!(timex->modes & MODE_ADJTIME_READ))
            model->singleshot_us = timex->offset;
        timex->offset = before_us;
    } else {
        set_modes(model, timex);
        timex->offset = shift_right(model->offset_scaled * HZ, SCALE_SHIFT);
        /* Below zero this is not what it should be, but what kernels 5.0 to 6.14 do. */
        if (!(model->status & STA_NANO))
            timex->offset = (uint32_t)timex->offset / NS_PER_US;
    }
    fill(model, timex);
    return (model->status & (STA_UNSYNC | STA_CLOCKERR)) ? TIME_ERROR : TIME_OK;
}

static bool within(int64_t value, int64_t min, int64_t max)
{
    return value >= min && value <= max;
}

bool timex_model_valid(const struct timex_model *model)
{
    int64_t phase_max = PHASE_MAX_NS * SCALE / HZ;

    return timestamp_valid(model->raw_ns) && timestamp_valid(model->real_ns) &&
           model->real_frac < FRAC_PER_NS &&
           within(model->freq_scaled, -FREQ_MAX_SCALED, FREQ_MAX_SCALED) &&
           within(model->offset_scaled, -phase_max, phase_max) &&
           within(model->chunk_scaled, -phase_max, phase_max) &&
           within(model->tick_us, 900000 / USER_HZ, 1100000 / USER_HZ) &&
           within(model->maxerror_us, 0, TIMEX_MODEL_PHASE_LIMIT_US) &&
           within(model->esterror_us, 0, TIMEX_MODEL_PHASE_LIMIT_US) &&
           within(model->reftime_s, 0, TIMESTAMP_LIMIT_NS / NS_PER_S) &&
           within(model->constant, 0, CONSTANT_MAX) && model->backward_ns >= 0;
}
