/* SPDX-License-Identifier: BSD-2-Clause */
/* bound_sds: how many sds of the error a bound holds. */
#ifndef BERKELEY_TESTS_BOUND_SDS_H
#define BERKELEY_TESTS_BOUND_SDS_H

#define BOUND_SDS 5.0

#endif
