/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PRINT_B = 1024, LEVELS = 8 };

static void clear(struct se_line *line)
{
    line->style = SE_LINE_PLAIN;
    line->cells = line->len_b = 0;
    line->text[0] = '\0';
}

void se_lines_begin(struct se_lines *lines, uint32_t width, uint32_t height, bool utf8)
{
    lines->width = width < SE_LINES_WIDTH_MAX ? width : SE_LINES_WIDTH_MAX;
    lines->height = height < SE_LINES_HEIGHT_MAX ? height : SE_LINES_HEIGHT_MAX;
    lines->n = 0;
    lines->utf8 = utf8;
    clear(&lines->line[0]);
}

uint32_t se_lines_left(const struct se_lines *lines) { return lines->height - lines->n; }

static struct se_line *at_hand(struct se_lines *lines) { return &lines->line[lines->n]; }

static bool continues(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

/* Character by character, as far as there is room. */
static void append(struct se_lines *lines, const char *text)
{
    struct se_line *line = at_hand(lines);
    while (*text && line->cells < lines->width) {
        do
            line->text[line->len_b++] = *text++;
        while (continues(*text));
        line->cells++;
    }
    line->text[line->len_b] = '\0';
}

void se_lines_print(struct se_lines *lines, const char *format, ...)
{
    char text[PRINT_B];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(lines, text);
}

void se_lines_to(struct se_lines *lines, uint32_t column)
{
    while (at_hand(lines)->cells < column && at_hand(lines)->cells < lines->width)
        append(lines, " ");
}

void se_lines_right(struct se_lines *lines, const char *text)
{
    size_t len = strlen(text);
    if (at_hand(lines)->cells + len + 1 > lines->width)
        return;
    se_lines_to(lines, lines->width - (uint32_t)len);
    append(lines, text);
}

void se_lines_bar(struct se_lines *lines, uint32_t cells, double share)
{
    double full = share > 0 ? share * cells + 0.5 : 0; /* not a number: empty */
    for (uint32_t i = 0; i < cells; i++) {
        if (i + 1 <= full)
            append(lines, lines->utf8 ? "\u2588" : "#");
        else
            append(lines, lines->utf8 ? "\u2591" : ".");
    }
}

/* Nothing has the lowest level, and whatever is more than nothing a higher one. */
static uint32_t level_of(float value, float most)
{
    if (!(value > 0) || !(most > 0))
        return 0;
    uint32_t level = 1 + (uint32_t)(value / most * (LEVELS - 1));
    return level < LEVELS ? level : LEVELS - 1;
}

void se_lines_curve(struct se_lines *lines, uint32_t cells, const float *value, uint32_t n)
{
    static const char *const blocks[LEVELS] = { "\u2581", "\u2582", "\u2583", "\u2584",
                                                "\u2585", "\u2586", "\u2587", "\u2588" };
    static const char *const ascii[LEVELS] = { "_", ".", ":", "-", "=", "+", "*", "#" };
    uint32_t first = n > cells ? n - cells : 0;
    float most = 0;
    for (uint32_t i = first; i < n; i++)
        most = value[i] > most ? value[i] : most;
    se_lines_to(lines, at_hand(lines)->cells + cells - (n - first));
    for (uint32_t i = first; i < n; i++) {
        uint32_t level = level_of(value[i], most);
        append(lines, lines->utf8 ? blocks[level] : ascii[level]);
    }
}

void se_lines_end(struct se_lines *lines, enum se_line_style style)
{
    at_hand(lines)->style = style;
    if (lines->n < lines->height)
        lines->n++;
    clear(at_hand(lines));
}
