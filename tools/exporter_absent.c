/* SPDX-License-Identifier: Apache-2.0 */
/* No libmicrohttpd in this build. */
#include "tools/exporter.h"

#include <errno.h>
#include <stddef.h>

#include "runtime/base/err.h"

struct se_exporter_options se_exporter_options(const char *address)
{
    return (struct se_exporter_options){ .address = address };
}

int se_exporter_check(const char *address)
{
    return se_fail(-ENOTSUP, "'%s': this build has no libmicrohttpd, and shows no metrics",
                   address);
}

int se_exporter_open(struct se_exporter **out, const struct se_exporter_options *options)
{
    *out = NULL;
    return se_exporter_check(options->address);
}

const char *se_exporter_url(const struct se_exporter *exporter)
{
    (void)exporter;
    return "";
}

void se_exporter_tell(struct se_exporter *exporter, enum se_exporter_health health, const char *why)
{
    (void)exporter;
    (void)health;
    (void)why;
}

void se_exporter_show(struct se_exporter *exporter, const struct se_metric_source *source)
{
    (void)exporter;
    (void)source;
}

void se_exporter_close(struct se_exporter *exporter) { (void)exporter; }
