from services.payments.main import service

service.run()
