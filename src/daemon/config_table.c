/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_table.h"

#include <string.h>
#include <syslog.h>

#define PLACE(member) .place = offsetof(struct config, member)
#define TEXT(member) PLACE(member), .size = sizeof(((struct config *)0)->member)
#define TEXTS(member)                                                                    \
    PLACE(member), .size = sizeof(((struct config *)0)->member[0]),                      \
                   .items = sizeof(((struct config *)0)->member) /                       \
                            sizeof(((struct config *)0)->member[0])

#define US INT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define DECADE (3650 * DAY)

static const struct config_word authentications[] = {
    {"key", CONFIG_AUTH_KEY},
    {"loopback", CONFIG_AUTH_LOOPBACK},
    {"none", CONFIG_AUTH_NONE},
    {NULL, 0},
};

static const struct config_word levels[] = {
    {"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
    {"info", LOG_INFO}, {"debug", LOG_DEBUG},     {NULL, 0},
};

static const struct config_word kinds[] = {
    {"kernel", CONFIG_CLOCK_KERNEL},
    {"emulated", CONFIG_CLOCK_EMULATED},
    {NULL, 0},
};

static const struct config_word stamps[] = {
    {"kernel", CONFIG_STAMPS_KERNEL},
    {"user", CONFIG_STAMPS_USER},
    {NULL, 0},
};

static const struct config_word never[] = {{"never", 0}, {NULL, 0}};
static const struct config_word automatic[] = {{"auto", 0}, {NULL, 0}};
static const struct config_word unknown[] = {{"unknown", -1}, {NULL, 0}};
static const struct config_word none[] = {{CONFIG_STATE_NONE, 0}, {NULL, 0}};

const struct config_entry config_table[] = {
    {
        .key = "name", .type = ENTRY_NAME, TEXT(name), .text = "",
        .help = "What the group calls this machine.  Empty: its host name.",
    },
    {
        .key = "group", .type = ENTRY_NAME, TEXT(group), .least = 1, .text = "berkeley",
        .help = "The group it belongs to.  Masters and slaves of other groups are refused.",
    },
    {
        .key = "authentication", .type = ENTRY_WORD, PLACE(authentication),
        .standard = CONFIG_AUTH_KEY, .words = authentications,
        .help = "\"key\": every connection is encrypted, and both ends prove that they hold\n"
                "a key of the key file; without that file it is as \"loopback\".\n"
                "\"loopback\": nobody is asked who they are, so only this very machine can be\n"
                "reached or reach it.\n"
                "\"none\": nobody is asked, and any address will do: for a network where everyone\n"
                "is trusted with the time.",
    },
    {
        .key = "key_file", .type = ENTRY_FILE, TEXT(key_file), .text = "",
        .help = "Where the keys are; a reload reads them again.  Empty: berkeley.key of the\n"
                "service's credentials if there is one, or else /etc/berkeley.key.",
    },
    {
        .key = "control", .type = ENTRY_FILE, TEXT(control), .text = "", .words = none,
        .help = "The socket that berkeleyctl asks.  Empty: master.sock or slave.sock in the\n"
                "service's runtime directory, and none if systemd did not start it.",
    },
    {
        .key = "timestamps", .type = ENTRY_WORD, PLACE(timestamps),
        .standard = CONFIG_STAMPS_KERNEL, .words = stamps,
        .help = "Who tells when a frame left or arrived.  \"kernel\": the kernel, where it does.\n"
                "\"user\": the daemon itself, always, which is less exact.",
    },
    {
        .key = "log_level", .type = ENTRY_WORD, .live = true, PLACE(log_level),
        .standard = LOG_INFO, .words = levels,
        .help = "The least urgent lines that go to the journal.",
    },
    {
        .key = "master.listen", .type = ENTRY_ADDRESS, TEXTS(master.listen), .least = 1,
        .text = "127.0.0.1 ::1",
        .help = "Where slaves can reach the master; \"0.0.0.0\" and \"::\" stand for all of its\n"
                "addresses.",
    },
    {
        .key = "master.port", .type = ENTRY_INTEGER, PLACE(master.port), .least = 1,
        .most = 65535, .standard = 5525,
        .help = "The TCP port for it.",
    },
    {
        .key = "master.interval", .type = ENTRY_DURATION, .live = true,
        PLACE(master.interval_ns), .least = 500 * MS, .most = HOUR, .standard = 4 * S,
        .help = "From one round to the next.",
    },
    {
        .key = "master.exchanges", .type = ENTRY_INTEGER, .live = true,
        PLACE(master.exchanges), .least = 1, .most = 8, .standard = 4,
        .help = "Timestamp exchanges with each slave in a round.",
    },
    {
        .key = "master.quorum", .type = ENTRY_INTEGER, .live = true, PLACE(master.quorum),
        .least = 1, .most = 1001, .standard = 2, .unit = "clocks",
        .help = "With fewer than this, the master's own included, nothing is corrected.",
    },
    {
        .key = "master.max_slaves", .type = ENTRY_INTEGER, .live = true,
        PLACE(master.max_slaves), .least = 1, .most = 10000, .standard = 1000,
        .help = "Slaves connected at a time; further ones are turned away.",
    },
    {
        .key = "master.references", .type = ENTRY_NAME, .live = true, TEXTS(master.references),
        .text = "",
        .help = "Names of machines whose clocks something better keeps (GPS, PTP, NTP): the\n"
                "group follows them, and they are never corrected.",
    },
    {
        .key = "master.allow", .type = ENTRY_PREFIX, .live = true, TEXTS(master.allow), .text = "",
        .help = "Who may connect; anybody else is turned away before a word is said.  Empty:\n"
                "everybody.",
    },
    {
        .key = "master.deny", .type = ENTRY_PREFIX, .live = true, TEXTS(master.deny), .text = "",
        .help = "Who may not, whatever master.allow says.",
    },
    {
        .key = "slave.master", .type = ENTRY_HOST, .live = true, TEXT(slave.master), .least = 1,
        .text = "localhost",
        .help = "The master's host name or address.",
    },
    {
        .key = "slave.port", .type = ENTRY_INTEGER, .live = true, PLACE(slave.port), .least = 1,
        .most = 65535, .standard = 5525,
        .help = "The master's TCP port.",
    },
    {
        .key = "slave.retry_min", .type = ENTRY_DURATION, .live = true,
        PLACE(slave.retry_min_ns), .least = 10 * MS, .most = HOUR, .standard = S,
        .help = "First wait after the master could not be reached or was lost.",
    },
    {
        .key = "slave.retry_max", .type = ENTRY_DURATION, .live = true,
        PLACE(slave.retry_max_ns), .least = 10 * MS, .most = HOUR, .standard = 60 * S,
        .help = "Every further wait is twice as long, up to this.",
    },
    {
        .key = "limits.handshakes", .type = ENTRY_INTEGER, .live = true, PLACE(limits.handshakes),
        .least = 1, .most = 10000, .standard = 64,
        .help = "Connections at a time that have not yet proved that they hold a key; further\n"
                "ones are turned away.",
    },
    {
        .key = "limits.handshake_time", .type = ENTRY_DURATION, .live = true,
        PLACE(limits.handshake_time_ns), .least = 100 * MS, .most = 60 * S, .standard = 5 * S,
        .help = "How long a new connection may take to prove that, and as long again to say who\n"
                "it is.",
    },
    {
        .key = "limits.connections_per_second", .type = ENTRY_INTEGER, .live = true,
        PLACE(limits.connections_per_second), .least = 1, .most = 100000, .standard = 100,
        .help = "New connections from one IPv4 address or IPv6 /64; twice as many at once.\n"
                "Further ones are turned away.",
    },
    {
        .key = "limits.frames_per_second", .type = ENTRY_INTEGER, .live = true,
        PLACE(limits.frames_per_second), .least = 50, .most = 100000, .standard = 100,
        .help = "Frames from one peer; twice as many at once.  A connection that brings more is\n"
                "closed; an honest peer sends up to 20.  For new connections.",
    },
    {
        .key = "limits.silence", .type = ENTRY_DURATION, .live = true, PLACE(limits.silence_ns),
        .least = S, .most = DAY, .standard = 0, .words = automatic,
        .help = "A peer not heard of for so long is gone.  Has to be longer than the master's\n"
                "interval.  \"auto\": four intervals, and at least 10 s.",
    },
    {
        .key = "limits.answer_time", .type = ENTRY_DURATION, .live = true,
        PLACE(limits.answer_time_ns), .least = 10 * MS, .most = 60 * S, .standard = S,
        .help = "How long a round waits after its last exchange for slaves that answered before.",
    },
    {
        .key = "limits.buffer", .type = ENTRY_INTEGER, .live = true, PLACE(limits.buffer),
        .least = 4096, .most = 1048576, .standard = 32768, .unit = "bytes",
        .help = "What the kernel may hold of one connection, each way.  For new connections.",
    },
    {
        .key = "clock.kind", .type = ENTRY_WORD, PLACE(clock.kind),
        .standard = CONFIG_CLOCK_KERNEL, .words = kinds,
        .help = "\"kernel\": this machine's clock.  \"emulated\": one in a file, to try things\n"
                "out; the machine's own is left alone.",
    },
    {
        .key = "clock.discipline", .type = ENTRY_BOOL, PLACE(clock.discipline), .standard = true,
        .help = "false: the clock is measured and reported, and never adjusted.",
    },
    {
        .key = "clock.max_slew_ppm", .type = ENTRY_NUMBER, .live = true,
        PLACE(clock.max_slew_ppm), .least = 1, .most = 100000, .standard = 500, .unit = "ppm",
        .help = "How fast a correction may be made; 500 ppm is half a millisecond a second.",
    },
    {
        .key = "clock.initial_slew_ppm", .type = ENTRY_NUMBER, .live = true,
        PLACE(clock.initial_slew_ppm), .least = 1, .most = 100000, .standard = 100000,
        .unit = "ppm",
        .help = "The same until the clock is synchronised for the first time after the start.",
    },
    {
        .key = "clock.step_threshold", .type = ENTRY_DURATION, PLACE(clock.step_threshold_ns),
        .least = MS, .most = DECADE, .standard = 0, .words = never,
        .help = "A first correction larger than this is made by setting the clock, once.\n"
                "\"never\": always gradually.",
    },
    {
        .key = "clock.panic_threshold", .type = ENTRY_DURATION, .live = true,
        PLACE(clock.panic_threshold_ns), .least = S, .most = DECADE, .standard = 1000 * S,
        .help = "A later correction larger than this is not made: the daemon stops instead.",
    },
    {
        .key = "clock.holdover_limit", .type = ENTRY_DURATION, .live = true,
        PLACE(clock.holdover_limit_ns), .least = S, .most = DECADE, .standard = HOUR,
        .help = "How long a clock left alone counts as held over; then it is unsynchronised.",
    },
    {
        .key = "clock.asymmetry_max", .type = ENTRY_DURATION, .live = true,
        PLACE(clock.asymmetry_max_ns), .least = 0, .most = S, .standard = -1, .words = unknown,
        .help = "The most by which the ways to and from the master can differ.  \"unknown\": the\n"
                "error bound allows for the whole delay being on one of them.",
    },
    {
        .key = "clock.state_file", .type = ENTRY_FILE, TEXT(clock.state_file), .text = "",
        .words = none,
        .help = "Where frequency and time are kept from one run to the next.  Empty:\n"
                "/var/lib/berkeley/state, or beside an emulated clock's file.  \"none\": nowhere.",
    },
    {
        .key = "clock.bound_file", .type = ENTRY_FILE, TEXT(clock.bound_file), .text = "none",
        .words = none,
        .help = "Memory that other programs map to read the time with its bound, as ClockBound's.\n"
                "Empty: clockbound in the service's runtime directory.  \"none\": nowhere.",
    },
    {
        .key = "metrics.listen", .type = ENTRY_ADDRESS, TEXTS(metrics.listen),
        .text = "",
        .help = "Addresses on which Prometheus may fetch metrics, readable by everybody who can\n"
                "connect: [\"127.0.0.1\", \"::1\"].  None: nobody can.",
    },
    {
        .key = "metrics.port", .type = ENTRY_INTEGER, PLACE(metrics.port), .least = 1,
        .most = 65535, .standard = 5526,
        .help = "Their TCP port.",
    },
    {
        .key = "metrics.file", .type = ENTRY_FILE, TEXT(metrics.file), .text = "",
        .help = "A file for the textfile collector of node_exporter, written anew every 15 s; its\n"
                "name has to end in \".prom\", and its directory be writable by user berkeley.\n"
                "Empty: none.",
    },
    {
        .key = "emulated.file", .type = ENTRY_FILE, TEXT(emulated.file), .text = "",
        .help = "The file the clock lives in; created with what follows if there is none.\n"
                "Empty: in memory, gone with the daemon.",
    },
    {
        .key = "emulated.offset", .type = ENTRY_DURATION, PLACE(emulated.offset_ns),
        .least = -DECADE, .most = DECADE, .standard = 0,
        .help = "How far it is ahead of the machine's clock at its creation; negative: behind.",
    },
    {
        .key = "emulated.frequency_ppm", .type = ENTRY_NUMBER, PLACE(emulated.frequency_ppm),
        .least = -100000, .most = 100000, .standard = 0, .unit = "ppm",
        .help = "How fast it runs ahead by itself; negative: behind.",
    },
    {
        .key = "emulated.wander_ppm", .type = ENTRY_NUMBER, PLACE(emulated.wander_ppm),
        .least = 0, .most = 1, .standard = 0, .unit = "ppm",
        .help = "Standard deviation of its frequency's random walk after one second.",
    },
    {
        .key = "emulated.seed", .type = ENTRY_INTEGER, PLACE(emulated.seed), .least = 0,
        .most = UINT32_MAX, .standard = 1,
        .help = "The same seed wanders the same way.",
    },
};

const size_t config_table_length = sizeof(config_table) / sizeof(config_table[0]);

_Static_assert(sizeof(config_table) / sizeof(config_table[0]) <= CONFIG_ENTRIES_MAX,
               "every key has its place in a draft");

const struct config_entry *config_entry_find(const char *key)
{
    for (size_t i = 0; i < config_table_length; i++)
        if (strcmp(config_table[i].key, key) == 0)
            return &config_table[i];
    return NULL;
}

size_t config_entry_group(const struct config_entry *entry)
{
    const char *dot = strchr(entry->key, '.');

    return dot ? (size_t)(dot - entry->key) : 0;
}

const char *config_entry_leaf(const struct config_entry *entry)
{
    const char *dot = strchr(entry->key, '.');

    return dot ? dot + 1 : entry->key;
}

void *config_entry_field(const struct config_entry *entry, struct config *config)
{
    return (char *)config + entry->place;
}

const void *config_entry_value(const struct config_entry *entry, const struct config *config)
{
    return (const char *)config + entry->place;
}

bool config_entry_is_text(const struct config_entry *entry)
{
    return entry->size > 0;
}

const char *config_entry_text(const struct config_entry *entry, const void *field, size_t n)
{
    return (const char *)field + n * entry->size;
}

void config_entry_set(const struct config_entry *entry, void *field, int64_t value)
{
    if (entry->type == ENTRY_WORD)
        *(int *)field = (int)value;
    else if (entry->type == ENTRY_BOOL)
        *(bool *)field = value != 0;
    else
        *(int64_t *)field = value;
}

int64_t config_entry_get(const struct config_entry *entry, const void *field)
{
    if (entry->type == ENTRY_WORD)
        return *(const int *)field;
    if (entry->type == ENTRY_BOOL)
        return *(const bool *)field;
    return *(const int64_t *)field;
}
