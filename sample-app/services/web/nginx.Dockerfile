# The web server of the pages: static files, and everything else to php-fpm.
FROM nginx:1.22
COPY nginx/nginx.conf /etc/nginx/nginx.conf
COPY nginx/static /srv/static
RUN install -d -o www-data -g www-data -m 2775 /var/log/academy
# www-data, as a number so that Kubernetes can see that it is not root.
USER 33:33
STOPSIGNAL SIGQUIT
EXPOSE 8080
