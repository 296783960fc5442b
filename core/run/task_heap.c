/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks in the stable topological order: a binary heap of plain numbers. */
#include "run/walk.h"

void task_heap_push(struct task_heap *heap, uint64_t item)
{
    list_reserve(heap, 1);
    size_t place = heap->count++;
    while (place > 0 && heap->items[(place - 1) / 2] > item) {
        heap->items[place] = heap->items[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap->items[place] = item;
}

uint64_t task_heap_pop(struct task_heap *heap)
{
    uint64_t first = heap->items[0], last = heap->items[--heap->count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->items[child + 1] < heap->items[child])
            child++;
        if (heap->items[child] >= last)
            break;
        heap->items[place] = heap->items[child];
        place = child;
    }
    if (heap->count > 0)
        heap->items[place] = last;
    return first;
}
