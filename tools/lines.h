/* SPDX-License-Identifier: Apache-2.0 */
/* tools/lines.h - a screenful of text, made line by line, for a terminal or a test to show.
 *
 * Printed text goes to the end of the line at hand and is cut at the screen's right edge; lines
 * beyond its lower edge are lost. Every character is one cell wide. One thread. */
#ifndef SE_TOOLS_LINES_H
#define SE_TOOLS_LINES_H

#include <stdbool.h>
#include <stdint.h>

enum { SE_LINES_WIDTH_MAX = 400, SE_LINES_HEIGHT_MAX = 200, SE_LINES_CHAR_B = 3 };

enum se_line_style {
    SE_LINE_PLAIN,
    SE_LINE_TITLE,
    SE_LINE_HEADING,
    SE_LINE_CHOSEN,
    SE_LINE_BUSY,
    SE_LINE_WAITS,
    SE_LINE_DIM,
    SE_LINE_STYLES
};

struct se_line {
    enum se_line_style style;
    uint32_t cells, len_b;
    char text[SE_LINES_WIDTH_MAX * SE_LINES_CHAR_B + 1];
};

struct se_lines {
    uint32_t width, height;                       /* of the screen */
    uint32_t n;                                   /* lines that are whole */
    bool utf8;                                    /* it can show bars and curves in blocks */
    struct se_line line[SE_LINES_HEIGHT_MAX + 1]; /* the last one takes what is lost */
};

/* An empty screen; sizes beyond the limits above are cut to them. */
void se_lines_begin(struct se_lines *lines, uint32_t width, uint32_t height, bool utf8);
uint32_t se_lines_left(const struct se_lines *lines); /* lines that still fit */

/* ASCII, or characters of at most SE_LINES_CHAR_B bytes. */
void se_lines_print(struct se_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Blanks up to this column. */
void se_lines_to(struct se_lines *lines, uint32_t column);
/* A text that ends at the right edge, if there is room for it behind what is there. */
void se_lines_right(struct se_lines *lines, const char *text);
/* A bar of so many cells, share of them full. */
void se_lines_bar(struct se_lines *lines, uint32_t cells, double share);
/* The last so many of n values as a curve whose top is the largest of them. */
void se_lines_curve(struct se_lines *lines, uint32_t cells, const float *value, uint32_t n);
/* The line is whole. */
void se_lines_end(struct se_lines *lines, enum se_line_style style);

#endif
