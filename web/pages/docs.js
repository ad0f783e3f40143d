// Shows the document of this server's API.
"use strict";

/** Takes out of a form what nobody filled in: Swagger UI sends an empty text for each such field. */
function withoutEmptyFields(request) {
  if (request.body instanceof FormData) {
    const empty = [...request.body].filter(([, value]) => value === "");
    empty.forEach(([name]) => request.body.delete(name));
  }
  return request;
}

SwaggerUIBundle({
  dom_id: "#api",
  url: "openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  requestInterceptor: withoutEmptyFields,
  // Never ask another site whether the document is valid.
  validatorUrl: null,
});
