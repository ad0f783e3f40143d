// Shows the document of this server's API.
"use strict";

SwaggerUIBundle({
  dom_id: "#api",
  url: "openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  // Never ask another site whether the document is valid.
  validatorUrl: null,
});
