/* SPDX-License-Identifier: Apache-2.0
 *
 * pace.h - a thread that works in the background without being noticed.
 *
 * SCHED_IDLE is not enough for that. Fair schedulers give an idle thread its small share too, and
 * by whole timer ticks: with Linux's EEVDF a busy thread was seen to wait 4 ms behind one. And a
 * thread on another core takes memory bandwidth. So such a thread works in short runs and sleeps
 * between them; long work of the engine calls ifd_pace() often, and for all other threads that does
 * nothing.
 */
#ifndef IFD_BASE_PACE_H
#define IFD_BASE_PACE_H

/* The calling thread, from now on, sleeps `rest` times as long as it ran whenever it has run for
 * IFD_PACE_RUN_NS of processor time and comes by ifd_pace(). 0, the initial value: never. */
void ifd_pace_set(unsigned rest);
void ifd_pace(void);

/* Long beside the cost of a sleep, short beside a batch. */
#define IFD_PACE_RUN_NS 200000u

#endif
