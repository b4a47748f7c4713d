/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario_event: the list of events of a scenario file; private to the scenario room.
 */
#ifndef BERKELEY_SIM_SCENARIO_EVENT_H
#define BERKELEY_SIM_SCENARIO_EVENT_H

#include "scenario_value.h"

/* 0 or -EINVAL with the line. */
int scenario_take_events(const struct scenario_reader *reader, const config_setting_t *list);

#endif
