/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf_load.h - all the settings of a program: defaults, files, command line.
 *
 * Each rules over those before it:
 *
 *     default  <  FILE  <  all *.yaml of FILE.d, by name  <  command line
 *
 * FILE is the value of the row named SE_CONF_FILE_ROW. Its default may name a file that is not
 * there; a file that the command line names must be. An empty text means no file. A relative
 * path begins where the process stands at the moment of the call. */
#ifndef SE_RUNTIME_BASE_CONF_LOAD_H
#define SE_RUNTIME_BASE_CONF_LOAD_H

#include <stddef.h>

#include "runtime/base/conf.h"
#include "runtime/base/conf_file.h"

/* Fills values; rest and n_rest as in se_conf_args(). argv must outlive files and values, and
 * files must outlive values; se_conf_files_fini(files) in any case. 0, SE_CONF_HELP, or -errno;
 * unless 0, values are as they were. */
int se_conf_load(const struct se_conf_row *rows, size_t n, void *values,
                 struct se_conf_files *files, int argc, char **argv, char **rest, int *n_rest);

/* Does the same again, with the command line of old and the files as they are now, into values
 * and files of their own: what runs keeps what it has until it is sure of the new. fresh is
 * made by the call. See se_conf_frozen() for what has changed. */
int se_conf_load_again(const struct se_conf_row *rows, size_t n, void *values,
                       struct se_conf_files *fresh, const struct se_conf_files *old);

#endif
