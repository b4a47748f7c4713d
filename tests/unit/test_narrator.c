/* SPDX-License-Identifier: BSD-2-Clause */
/* Each note as the journal gets it: the sentence, and the fields that filters and the catalog
 * hang on. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "daemon/narrator.h"

#include "daemon/journal.h"
#include "daemon/message_ids.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cmocka.h>

#define SAID_SIZE 4096
#define US INT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)

static char sent[SAID_SIZE]; /* a field a line */

/* Stands in for libsystemd's: the program's own definition is linked first. */
int sd_journal_sendv(const struct iovec *fields, int count)
{
    size_t used = 0;

    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(sent + used, sizeof sent - used, "%.*s\n", (int)fields[i].iov_len,
                                 (const char *)fields[i].iov_base);
    return 0;
}

static int set_up(void **state)
{
    struct stat status;
    char stream[64];

    (void)state;
    if (fstat(STDERR_FILENO, &status) < 0)
        return -1;
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    journal_open(LOG_DEBUG);
    return 0;
}

static void expect(const char *field, const char *value)
{
    char line[SAID_SIZE];

    snprintf(line, sizeof line, "%s=%s\n", field, value);
    if (!strstr(sent, line))
        fail_msg("no line %sin\n%s", line, sent);
}

static void expect_number(const char *field, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, value);
    expect(field, text);
}

static void tell(struct note note, const char *id, const char *message)
{
    sent[0] = '\0';
    narrator_tell(&note);
    expect("MESSAGE_ID", id);
    expect("MESSAGE", message);
}

static void lacks(const char *field)
{
    if (strstr(sent, field))
        fail_msg("%s in\n%s", field, sent);
}

static void test_slaves(void **state)
{
    (void)state;
    tell((struct note){.kind = NOTE_SLAVE_JOINED, .name = "node1", .address = "192.0.2.1 port 7"},
         MESSAGE_SLAVE_JOINED,
         "Slave node1 joined from 192.0.2.1 port 7; its clock is measured before it counts.");
    expect("BERKELEY_PEER", "node1");
    tell((struct note){.kind = NOTE_SLAVE_LEFT, .name = "node1", .reason = BYE_TIMEOUT},
         MESSAGE_SLAVE_LEFT,
         "Slave node1 left: nothing was heard for too long. The group goes on without its clock.");
}

static void test_a_refused_connection(void **state)
{
    struct note note = {.kind = NOTE_PEER_REFUSED, .address = "192.0.2.1 port 7"};

    (void)state;
    note.reason = BYE_GROUP;
    tell(
        note, MESSAGE_PEER_REFUSED,
        "No connection with 192.0.2.1 port 7: it belongs to another group; set the same `group` on "
        "both.");
    expect("BERKELEY_PEER", "192.0.2.1");
    expect_number("PRIORITY", LOG_INFO);
    note.reason = BYE_FULL; /* as the slave tells it */
    tell(note, MESSAGE_FULL,
         "No connection with 192.0.2.1 port 7: the master has no room for another slave; raise its "
         "master.max_slaves, or stop a slave.");
    expect_number("PRIORITY", LOG_WARNING);
    snprintf(note.name, sizeof note.name, "node1");
    tell(note, MESSAGE_FULL,
         "No connection with node1 (192.0.2.1 port 7): the master has no room for another slave; "
         "raise its master.max_slaves, or stop a slave.");
    expect("BERKELEY_PEER", "node1");
    expect_number("PRIORITY", LOG_WARNING);
}

static void test_each_refusal_is_explained(void **state)
{
    struct note note = {.kind = NOTE_FRAME_REFUSED,
                        .name = "node1",
                        .address = "192.0.2.1 port 7",
                        .reason = REFUSAL_LATE,
                        .count = 3};

    (void)state;
    tell(note, MESSAGE_FRAME_REFUSED,
         "Refused a frame of node1 (192.0.2.1 port 7): late (it came after its round had ended). "
         "Nothing was done with it; 3 refused on this connection so far.");
    for (note.reason = REFUSAL_NONE + 1; note.reason < REFUSAL_COUNT_; note.reason++) {
        narrator_tell(&note);
        lacks("for no known reason");
    }
}

static void test_an_excluded_clock(void **state)
{
    struct note note = {.kind = NOTE_CLOCK_EXCLUDED,
                        .name = "node1",
                        .verdict = VERDICT_FAR,
                        .offset_ns = -3 * MS,
                        .limit_ns = 41 * US,
                        .count = 4};

    (void)state;
    tell(note, MESSAGE_CLOCK_EXCLUDED,
         "Clock node1 is excluded: it is 3 ms behind the group, 41 µs is allowed. It is left alone "
         "for 4 rounds, then brought in like a newcomer.");
    expect_number("BERKELEY_OFFSET_NS", note.offset_ns);
    note.verdict = VERDICT_FAST;
    note.freq_ppb = -120500;
    tell(note, MESSAGE_CLOCK_EXCLUDED,
         "Clock node1 is excluded: it runs 120.5 ppm slower than the group. It is left alone for 4 "
         "rounds, then brought in like a newcomer.");
    tell((struct note){.kind = NOTE_CLOCK_IN, .name = "node1", .offset_ns = 21 * US},
         MESSAGE_CLOCK_IN, "Clock node1 is in the group: 21 µs ahead of its time, and counted.");
}

static void test_a_lost_quorum(void **state)
{
    (void)state;
    tell((struct note){.kind = NOTE_QUORUM_LOST, .state = 1, .counted = 1, .present = 3},
         MESSAGE_QUORUM_LOST,
         "No group yet: of 3 clocks only 1 are within 10 s and 500 ppm of their medians, no "
         "majority. Nobody is corrected: set the clocks that are wrong, or name one that is right "
         "in master.references.");
    tell((struct note){.kind = NOTE_QUORUM_LOST, .state = 2, .counted = 1, .present = 2, .count = 3},
         MESSAGE_QUORUM_LOST,
         "Too few clocks: 1 of 2 can be counted, master.quorum asks for 3. Nobody is corrected until "
         "there are more; those that were synchronised are in holdover.");
    tell((struct note){.kind = NOTE_QUORUM_LOST, .counted = 2, .present = 5}, MESSAGE_QUORUM_LOST,
         "The clocks disagree: only 2 of 5 are near each other, no majority. Nobody is corrected; "
         "if it stays so for 4 rounds, all start afresh.");
}

static void test_a_correction(void **state)
{
    struct note note = {.kind = NOTE_CORRECTION,
                        .name = "time1",
                        .round = 7,
                        .correction_ns = 3 * US,
                        .bound_ns = 41 * US,
                        .delay_ns = 50 * US,
                        .verdict = VERDICT_COUNTED};

    (void)state;
    tell(note, MESSAGE_CORRECTION,
         "Round 7: correction +3 µs (counted), bound 41 µs, delay 50 µs.");
    expect_number("BERKELEY_ROUND", 7);
    expect_number("BERKELEY_OFFSET_NS", -3 * US);
    expect_number("BERKELEY_BOUND_NS", 41 * US);
    expect_number("BERKELEY_DELAY_NS", 50 * US);
    note.delay_ns = 0;
    tell(note, MESSAGE_CORRECTION,
         "Round 7: correction +3 µs (counted), bound 41 µs, delay unknown.");
    lacks("BERKELEY_DELAY_NS");
}

static void test_states(void **state)
{
    struct note note = {
        .kind = NOTE_STATE, .state = SYNC_HOLDOVER, .offset_ns = -14 * US, .bound_ns = 380 * US};

    (void)state;
    tell(note, MESSAGE_STATE,
         "Holdover: nothing is heard of the group's time. The clock goes on at the frequency it "
         "learned, "
         "within 380 µs of the group, growing.");
    expect("BERKELEY_STATE", "holdover");
    note.state = SYNC_SYNCHRONISED;
    tell(note, MESSAGE_SYNCHRONISED, "Synchronised: offset -14 µs, within 380 µs of the group.");
    expect_number("BERKELEY_OFFSET_NS", note.offset_ns);
    note.state = SYNC_UNSYNCHRONISED;
    tell(note, MESSAGE_STATE, "Unsynchronised: this clock is 14 µs behind the group's time.");
    note.bound_ns = INT64_MAX;
    tell(note, MESSAGE_STATE, "Unsynchronised: the group's time is not known.");
    lacks("BERKELEY_OFFSET_NS");
    lacks("BERKELEY_BOUND_NS");
}

static void test_the_master_s_verdict(void **state)
{
    struct note note = {
        .kind = NOTE_VERDICT, .name = "time1", .verdict = VERDICT_FAR, .offset_ns = 3600 * S};

    (void)state;
    tell(note, MESSAGE_VERDICT,
         "The master excludes this clock: it is 3600 s ahead of the group. It is left alone for "
         "some rounds, then brought in like a newcomer.");
    note.verdict = VERDICT_COUNTED;
    note.counted = 4;
    note.present = 5;
    tell(note, MESSAGE_VERDICT, "The master counts this clock, as it does 4 of 5 clocks.");
}

static void test_the_one_step(void **state)
{
    struct note note = {.kind = NOTE_STEPPED, .correction_ns = -2 * S};

    (void)state;
    tell(note, MESSAGE_TIME_CHANGE,
         "Stepped the clock once by -2 s, as clock.step_threshold allows at start.");
    note.state = 1;
    tell(note, MESSAGE_TIME_CHANGE,
         "Stepped the clock once by -2 s, as a person asked with berkeleyctl step.");
}

/* None is forgotten: what is not told, nobody sees. */
static void test_every_note_is_told(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < NOTE_COUNT_; kind++) {
        struct note note = {.kind = (enum note_kind)kind, .address = "192.0.2.1"};

        snprintf(note.name, sizeof note.name, "kind%u", kind); /* or repeats would be left out */
        sent[0] = '\0';
        narrator_tell(&note);
        if (!strstr(sent, "MESSAGE_ID="))
            fail_msg("note %u is not told, or has no id", kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slaves),
        cmocka_unit_test(test_a_refused_connection),
        cmocka_unit_test(test_each_refusal_is_explained),
        cmocka_unit_test(test_an_excluded_clock),
        cmocka_unit_test(test_a_lost_quorum),
        cmocka_unit_test(test_a_correction),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_the_master_s_verdict),
        cmocka_unit_test(test_the_one_step),
        cmocka_unit_test(test_every_note_is_told),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
