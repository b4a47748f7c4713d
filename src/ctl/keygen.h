/* SPDX-License-Identifier: BSD-2-Clause */
/* keygen: makes, lists and takes out keys of the group, in the file that keyring.h describes. */
#ifndef BERKELEY_CTL_KEYGEN_H
#define BERKELEY_CTL_KEYGEN_H

/* The command "keygen" (argv[0]) with its options; the program's exit code.
 * What it printed may still be in stdout's buffer. */
int keygen_main(int argc, char **argv);

#endif
