/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi_schemas.c - the shapes of bodies and answers, as JSON Schema 2020-12 (what OpenAPI 3.1
 * takes). Data only; tests hold real answers against it.
 */
#include "server/openapi.h"

const struct ifd_openapi_schema ifd_openapi_schemas[] = {
    {"Error",
     "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"object\",\"properties\":{"
     "\"code\":{\"type\":\"integer\"},\"type\":{\"type\":\"string\"},\"message\":{\"type\""
     ":\"string\"},\"request_id\":{\"type\":\"string\"}},\"required\":[\"code\",\"type\","
     "\"message\"],\"additionalProperties\":false}},\"required\":[\"error\"],\"additionalPr"
     "operties\":false}"},
    {"PlainError",
     "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"string\"}},\"required\":["
     "\"error\"],\"additionalProperties\":false}"},
    {"TeiError",
     "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"string\"},\"error_type\":"
     "{\"enum\":[\"Unhealthy\",\"Backend\",\"Overloaded\",\"Validation\",\"Tokenizer\"]}},"
     "\"required\":[\"error\",\"error_type\"],\"additionalProperties\":false}"},
    {"VllmError",
     "{\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"object\",\"properties\":{"
     "\"message\":{\"type\":\"string\"},\"type\":{\"type\":\"string\"},\"param\":{\"type\""
     ":\"null\"},\"code\":{\"type\":\"integer\"}},\"required\":[\"message\",\"type\",\"par"
     "am\",\"code\"],\"additionalProperties\":false}},\"required\":[\"error\"],\"additiona"
     "lProperties\":false}"},
    {"Parameters",
     "{\"type\":\"object\",\"properties\":{\"timeout_ms\":{\"type\":\"integer\",\"minimum"
     "\":1,\"maximum\":86400000},\"top_k\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":"
     "1000000,\"default\":1},\"raw_scores\":{\"type\":\"boolean\",\"default\":false},\"tru"
     "ncation\":{\"enum\":[\"right\",\"left\",\"none\",\"head_tail\",\"window_mean\",\"win"
     "dow_max\"]},\"details\":{\"type\":\"boolean\",\"default\":false}},\"required\":[],\""
     "additionalProperties\":false}"},
    {"InferRequest",
     "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"inputs\":{\"oneOf\":[{\"type\":\""
     "string\",\"minLength\":1},{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLe"
     "ngth\":1},\"minItems\":1}]},\"parameters\":{\"$ref\":\"#/components/schemas/Paramete"
     "rs\"}},\"required\":[\"inputs\"],\"additionalProperties\":false},{\"type\":\"object"
     "\",\"properties\":{\"text\":{\"type\":\"string\",\"minLength\":1},\"parameters\":{\"$"
     "ref\":\"#/components/schemas/Parameters\"}},\"required\":[\"text\"],\"additionalProp"
     "erties\":false}],\"examples\":[{\"inputs\":[\"I love this!\",\"What a waste of time."
     "\"]}]}"},
    {"Score", "{\"type\":\"object\",\"properties\":{\"label\":{\"type\":\"string\"},\"confidence\":"
              "{\"type\":\"number\"},\"logit\":{\"type\":\"number\"}},\"required\":[\"label\",\"con"
              "fidence\"],\"additionalProperties\":false}"},
    {"Details",
     "{\"type\":\"object\",\"properties\":{\"tokens\":{\"type\":\"integer\",\"minimum\":0}"
     ",\"truncated\":{\"type\":\"boolean\"},\"windows\":{\"type\":\"integer\",\"minimum\":"
     "0},\"ms\":{\"type\":\"object\",\"properties\":{\"parse\":{\"type\":\"number\"},\"tok"
     "enize\":{\"type\":\"number\"},\"queue\":{\"type\":\"number\"},\"infer\":{\"type\":\""
     "number\"}},\"required\":[\"parse\",\"tokenize\",\"queue\",\"infer\"],\"additionalPro"
     "perties\":false}},\"required\":[\"tokens\",\"truncated\",\"windows\",\"ms\"],\"addit"
     "ionalProperties\":false}"},
    {"InferAnswer",
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"label\":{\"type"
     "\":\"string\"},\"confidence\":{\"type\":\"number\"},\"logit\":{\"type\":\"number\"},"
     "\"scores\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Score\"}},"
     "\"details\":{\"$ref\":\"#/components/schemas/Details\"}},\"required\":[\"label\",\"c"
     "onfidence\"],\"additionalProperties\":false}}"},
    {"TeiRequest",
     "{\"type\":\"object\",\"properties\":{\"inputs\":{\"oneOf\":[{\"type\":\"string\",\"m"
     "inLength\":1},{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\""
     "minItems\":1,\"maxItems\":2},{\"type\":\"array\",\"items\":{\"type\":\"array\",\"ite"
     "ms\":{\"type\":\"string\",\"minLength\":1},\"minItems\":1,\"maxItems\":2},\"minItems"
     "\":1}]},\"truncate\":{\"type\":[\"boolean\",\"null\"]},\"truncation_direction\":{\"e"
     "num\":[\"Left\",\"Right\"]},\"raw_scores\":{\"type\":\"boolean\"}},\"required\":[\"i"
     "nputs\"],\"examples\":[{\"inputs\":[[\"I love this!\"],[\"What a waste of time.\"]]}"
     "]}"},
    {"TeiAnswer",
     "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"sco"
     "re\":{\"type\":\"number\"},\"label\":{\"type\":\"string\"}},\"required\":[\"score\","
     "\"label\"],\"additionalProperties\":false}},{\"type\":\"array\",\"items\":{\"type\":"
     "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"score\":{\"type\":\"numbe"
     "r\"},\"label\":{\"type\":\"string\"}},\"required\":[\"score\",\"label\"],\"additiona"
     "lProperties\":false}}}]}"},
    {"TokenizeRequest",
     "{\"type\":\"object\",\"properties\":{\"inputs\":{\"oneOf\":[{\"type\":\"string\",\"m"
     "inLength\":1},{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\""
     "minItems\":1}]},\"add_special_tokens\":{\"type\":\"boolean\",\"default\":true}},\"re"
     "quired\":[\"inputs\"],\"examples\":[{\"inputs\":\"I love this!\"}]}"},
    {"TokenizeAnswer",
     "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"p"
     "roperties\":{\"id\":{\"type\":\"integer\"},\"text\":{\"type\":\"string\"},\"special"
     "\":{\"type\":\"boolean\"},\"start\":{\"type\":[\"integer\",\"null\"]},\"stop\":{\"typ"
     "e\":[\"integer\",\"null\"]}},\"required\":[\"id\",\"text\",\"special\",\"start\",\"s"
     "top\"],\"additionalProperties\":false}}}"},
    {"VllmRequest",
     "{\"type\":\"object\",\"properties\":{\"input\":{\"oneOf\":[{\"type\":\"string\",\"mi"
     "nLength\":1},{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\"m"
     "inItems\":1}]},\"softmax\":{\"type\":[\"boolean\",\"null\"]},\"use_activation\":{\"t"
     "ype\":[\"boolean\",\"null\"]},\"truncate_prompt_tokens\":{\"enum\":[-1,null]},\"user"
     "\":{\"type\":\"string\"}},\"required\":[\"input\"],\"examples\":[{\"input\":\"I love"
     " this!\"}]}"},
    {"VllmAnswer",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"object\":{\"cons"
     "t\":\"list\"},\"created\":{\"type\":\"integer\",\"minimum\":0},\"model\":{\"type\":"
     "\"string\"},\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties"
     "\":{\"index\":{\"type\":\"integer\",\"minimum\":0},\"label\":{\"type\":\"string\"},\""
     "probs\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}},\"num_classes\":{\"type"
     "\":\"integer\",\"minimum\":0}},\"required\":[\"index\",\"label\",\"probs\",\"num_cla"
     "sses\"],\"additionalProperties\":false}},\"usage\":{\"type\":\"object\",\"properties"
     "\":{\"prompt_tokens\":{\"type\":\"integer\",\"minimum\":0},\"total_tokens\":{\"type"
     "\":\"integer\",\"minimum\":0},\"completion_tokens\":{\"type\":\"integer\",\"minimum\""
     ":0},\"prompt_tokens_details\":{\"type\":\"null\"}},\"required\":[\"prompt_tokens\","
     "\"total_tokens\",\"completion_tokens\",\"prompt_tokens_details\"],\"additionalPropert"
     "ies\":false}},\"required\":[\"id\",\"object\",\"created\",\"model\",\"data\",\"usage"
     "\"],\"additionalProperties\":false}"},
    {"KserveRequest",
     "{\"type\":\"object\",\"properties\":{\"instances\":{\"type\":\"array\",\"minItems\":"
     "1,\"items\":{\"oneOf\":[{\"type\":\"string\",\"minLength\":1},{\"type\":\"object\","
     "\"properties\":{\"text\":{\"type\":\"string\",\"minLength\":1}},\"required\":[\"text"
     "\"]}]}}},\"required\":[\"instances\"],\"examples\":[{\"instances\":[\"I love this!\"]"
     "}]}"},
    {"KserveAnswer",
     "{\"type\":\"object\",\"properties\":{\"predictions\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"properties\":{\"label\":{\"type\":\"string\"},\"confidence\":{"
     "\"type\":\"number\"}},\"required\":[\"label\",\"confidence\"],\"additionalProperties"
     "\":false}}},\"required\":[\"predictions\"],\"additionalProperties\":false}"},
    {"KserveModels",
     "{\"type\":\"object\",\"properties\":{\"models\":{\"type\":\"array\",\"items\":{\"typ"
     "e\":\"string\"}}},\"required\":[\"models\"],\"additionalProperties\":false}"},
    {"OipRequest",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"maxLength\":30},"
     "\"inputs\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1,\"items\":{\"type\":\"ob"
     "ject\",\"properties\":{\"name\":{\"const\":\"text\"},\"datatype\":{\"const\":\"BYTES"
     "\"},\"shape\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1},\"m"
     "inItems\":1,\"maxItems\":2},\"data\":{\"type\":\"array\",\"items\":{\"type\":\"strin"
     "g\",\"minLength\":1},\"minItems\":1},\"parameters\":{\"type\":\"object\"}},\"require"
     "d\":[\"name\",\"datatype\",\"shape\",\"data\"],\"additionalProperties\":false}},\"ou"
     "tputs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":"
     "{\"enum\":[\"label\",\"confidence\",\"logits\"]},\"parameters\":{\"type\":\"object\""
     ",\"properties\":{\"binary_data\":{\"type\":\"boolean\"}},\"required\":[]}},\"require"
     "d\":[\"name\"],\"additionalProperties\":false}},\"parameters\":{\"type\":\"object\","
     "\"properties\":{\"binary_data_output\":{\"type\":\"boolean\"},\"timeout\":{\"type\":"
     "\"integer\",\"minimum\":0,\"maximum\":86400000000}},\"required\":[]}},\"required\":["
     "\"inputs\"],\"examples\":[{\"inputs\":[{\"name\":\"text\",\"datatype\":\"BYTES\",\"s"
     "hape\":[1],\"data\":[\"I love this!\"]}]}]}"},
    {"OipAnswer",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"model_name\":{\""
     "type\":\"string\"},\"model_version\":{\"type\":\"string\"},\"outputs\":{\"type\":\"a"
     "rray\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}"
     ",\"datatype\":{\"enum\":[\"BYTES\",\"FP32\"]},\"shape\":{\"type\":\"array\",\"items"
     "\":{\"type\":\"integer\",\"minimum\":0}},\"data\":{\"type\":\"array\"},\"parameters\""
     ":{\"type\":\"object\"}},\"required\":[\"name\",\"datatype\",\"shape\"],\"additionalP"
     "roperties\":false}}},\"required\":[\"model_name\",\"model_version\",\"outputs\"],\"a"
     "dditionalProperties\":false}"},
    {"OipServer",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"t"
     "ype\":\"string\"},\"extensions\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}"
     "}},\"required\":[\"name\",\"version\",\"extensions\"],\"additionalProperties\":false"
     "}"},
    {"OipModel",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"versions\":{\""
     "type\":\"array\",\"items\":{\"type\":\"string\"}},\"platform\":{\"type\":\"string\"}"
     ",\"inputs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"nam"
     "e\":{\"type\":\"string\"},\"datatype\":{\"type\":\"string\"},\"shape\":{\"type\":\"a"
     "rray\",\"items\":{\"type\":\"integer\"}}},\"required\":[\"name\",\"datatype\",\"shap"
     "e\"],\"additionalProperties\":false}},\"outputs\":{\"type\":\"array\",\"items\":{\"t"
     "ype\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"datatype\":{\"type"
     "\":\"string\"},\"shape\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}},\"re"
     "quired\":[\"name\",\"datatype\",\"shape\"],\"additionalProperties\":false}}},\"requi"
     "red\":[\"name\",\"versions\",\"platform\",\"inputs\",\"outputs\"],\"additionalProper"
     "ties\":false}"},
    {"OipIndex",
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type"
     "\":\"string\"},\"version\":{\"type\":\"string\"},\"state\":{\"enum\":[\"READY\",\"UNA"
     "VAILABLE\"]},\"reason\":{\"type\":\"string\"}},\"required\":[\"name\",\"version\",\""
     "state\",\"reason\"],\"additionalProperties\":false}}"},
    {"OipStatistics",
     "{\"type\":\"object\",\"properties\":{\"model_stats\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"required\":[\"name\",\"version\",\"last_inference\",\"inferenc"
     "e_count\",\"execution_count\",\"inference_stats\",\"batch_stats\"]}}},\"required\":["
     "\"model_stats\"],\"additionalProperties\":false}"},
    {"Live", "{\"type\":\"object\",\"properties\":{\"live\":{\"type\":\"boolean\"}},\"required\":["
             "\"live\"],\"additionalProperties\":false}"},
    {"Ready", "{\"type\":\"object\",\"properties\":{\"ready\":{\"type\":\"boolean\"}},\"required\":"
              "[\"ready\"],\"additionalProperties\":false}"},
    {"ModelReady",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"ready\":{\"typ"
     "e\":\"boolean\"}},\"required\":[\"name\",\"ready\"],\"additionalProperties\":false}"},
    {"Status",
     "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\"},\"progress\":{"
     "\"type\":\"number\"}},\"required\":[\"status\"],\"additionalProperties\":false}"},
    {"Object", "{\"type\":\"object\"}"},
    {"LoadRequest",
     "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\",\"minLength\":1}}"
     ",\"required\":[\"path\"],\"additionalProperties\":false}"},
    {"ShadowRequest",
     "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\",\"minLength\":1},"
     "\"share\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}},\"required\":[\"path\","
     "\"share\"],\"additionalProperties\":false}"},
    {"Text", "{\"type\":\"string\"}"},
};
const size_t ifd_openapi_schema_count =
    sizeof(ifd_openapi_schemas) / sizeof(ifd_openapi_schemas[0]);
