/* SPDX-License-Identifier: Apache-2.0
 *
 * protocol_pages.h - what other people's protocols read beside inference: health, metadata and
 * statistics of the Open Inference Protocol and KServe v1, and the probes of KubeRay, SageMaker,
 * vLLM and TEI. I/O thread; each appends its answer and returns the status.
 */
#ifndef IFD_SERVER_PROTOCOL_PAGES_H
#define IFD_SERVER_PROTOCOL_PAGES_H

#include "server/io.h"

typedef int ifd_page(struct ifd_io *io, struct ifd_buf *body);

/* Is this thread serving, with a model and not on its way out? */
bool ifd_page_is_ready(struct ifd_io *io);

ifd_page ifd_page_probe;       /* {"status":"ok"}, or 503 while not ready: /health, /ping */
ifd_page ifd_page_ray_healthz; /* "success", as KubeRay's probes want it */
ifd_page ifd_page_ray_routes;
ifd_page ifd_page_oip_server, ifd_page_oip_live, ifd_page_oip_ready;
ifd_page ifd_page_oip_model, ifd_page_oip_model_ready, ifd_page_oip_config, ifd_page_oip_stats,
    ifd_page_oip_index;
ifd_page ifd_page_kserve_models, ifd_page_kserve_model;

#endif
